from __future__ import annotations

import math
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from helpers.extras import reason

torch = pytest.importorskip("torch", reason=reason("torch", "finetune"))

from edge_lpr.finetune.recipe.losses import DBLossSettings  # noqa: E402
from edge_lpr.finetune.training.losses import balanced_bce, ctc_loss, db_loss, dice_loss, masked_l1  # noqa: E402


def test_balanced_bce_takes_three_hardest_negatives_per_positive() -> None:
    prob = torch.tensor([[[0.5, 0.9, 0.8, 0.1, 0.2]]])
    target = torch.tensor([[[1.0, 0.0, 0.0, 0.0, 0.0]]])
    # 1,000 negatives are the floor, so the ratio shows only beyond it.
    prob = torch.cat([prob, torch.full((1, 1, 2000), 0.05)], dim=2)
    target = torch.cat([target, torch.zeros(1, 1, 2000)], dim=2)
    hardest = [-math.log(1 - p) for p in (0.9, 0.8, 0.2, 0.1)] + [-math.log(0.95)] * 996
    expected = (-math.log(0.5) + sum(hardest)) / 1001
    assert float(balanced_bce(prob, target, torch.ones_like(prob))) == pytest.approx(expected, rel=1e-5)


def test_balanced_bce_ratio_above_the_floor() -> None:
    prob = torch.full((1, 100, 100), 0.25)
    target = torch.zeros(1, 100, 100)
    target[:, :20, :50] = 1.0  # 1,000 text pixels: 3,000 of 9,000 others count
    expected = (1000 * -math.log(0.25) + 3000 * -math.log(0.75)) / 4000
    assert float(balanced_bce(prob, target, torch.ones_like(prob))) == pytest.approx(expected, rel=1e-5)


def test_balanced_bce_leaves_masked_pixels_out() -> None:
    prob = torch.tensor([[[0.5, 0.999]]])
    target = torch.tensor([[[1.0, 0.0]]])
    mask = torch.tensor([[[1.0, 0.0]]])
    assert float(balanced_bce(prob, target, mask)) == pytest.approx(-math.log(0.5), rel=1e-5)


def test_dice_loss() -> None:
    binary = torch.tensor([[[1.0, 0.5, 0.0, 1.0]]])
    target = torch.tensor([[[1.0, 1.0, 0.0, 0.0]]])
    mask = torch.tensor([[[1.0, 1.0, 1.0, 0.0]]])
    assert float(dice_loss(binary, target, mask)) == pytest.approx(1 - 2 * 1.5 / (1.5 + 2), rel=1e-5)


def test_masked_l1() -> None:
    found = torch.tensor([[[0.3, 0.9, 0.1]]])
    target = torch.tensor([[[0.5, 0.7, 0.7]]])
    mask = torch.tensor([[[1.0, 1.0, 0.0]]])
    assert float(masked_l1(found, target, mask)) == pytest.approx(0.2, rel=1e-4)


def test_db_loss_weights_its_parts() -> None:
    maps = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    shrink = torch.zeros(2, 16, 16)
    shrink[:, 4:8, 2:12] = 1.0
    ones = torch.ones_like(shrink)
    loss, parts = db_loss(maps, shrink, ones, 0.5 * ones, ones)
    assert parts["shrink"] == pytest.approx(5 * float(balanced_bce(maps[:, 0], shrink, ones)), rel=1e-5)
    assert parts["threshold"] == pytest.approx(10 * float(masked_l1(maps[:, 1], 0.5 * ones, ones)), rel=1e-5)
    assert parts["binary"] == pytest.approx(float(dice_loss(maps[:, 2], shrink, ones)), rel=1e-5)
    assert float(loss) == pytest.approx(sum(parts.values()), rel=1e-5)


def test_ctc_loss_sums_over_alignments() -> None:
    # Two columns, blank and one character: "a" is a-, -a or aa.
    probs = torch.tensor([[[0.6, 0.4], [0.3, 0.7]]])
    expected = -math.log(0.4 * 0.3 + 0.6 * 0.7 + 0.4 * 0.7)
    loss = ctc_loss(probs.log(), torch.tensor([[1]]), torch.tensor([1]))
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_ctc_loss_of_no_text_is_all_blanks() -> None:
    probs = torch.tensor([[[0.6, 0.4], [0.3, 0.7]]])
    loss = ctc_loss(probs.log(), torch.tensor([[0]]), torch.tensor([0]))
    assert float(loss) == pytest.approx(-math.log(0.6 * 0.3), rel=1e-5)


def test_ctc_loss_of_an_impossible_text_is_zero() -> None:
    # A double needs a blank between: three columns at least.
    loss = ctc_loss(torch.zeros(1, 2, 3), torch.tensor([[1, 1]]), torch.tensor([2]))
    assert float(loss) == 0.0


def test_ctc_loss_of_whole_texts_as_paddleocr_has_it() -> None:
    torch.manual_seed(0)
    logits, targets = torch.randn(2, 9, 5), torch.tensor([[1, 2, 3], [4, 0, 0]])
    lengths = torch.tensor([3, 1])
    each = (
        torch.stack([ctc_loss(logits[i : i + 1], targets[i : i + 1], lengths[i : i + 1]) for i in (0, 1)])
        * lengths
    )
    assert float(ctc_loss(logits, targets, lengths, per_character=False)) == pytest.approx(float(each.mean()))
    focal = (each * (1 - torch.exp(-each)) ** 2).mean()
    assert float(ctc_loss(logits, targets, lengths, per_character=False, focal=True)) == pytest.approx(
        float(focal)
    )
    assert float(ctc_loss(logits, targets, lengths)) == pytest.approx(float((each / lengths).mean()))


def test_db_loss_with_the_dice_loss_of_paddleocrs_configs() -> None:
    maps = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    shrink, ones = torch.zeros(1, 8, 8), torch.ones(1, 8, 8)
    settings = DBLossSettings("DiceLoss", 2.0, 3.0)
    parts = db_loss(maps, shrink, ones, 0.5 * ones, ones, settings=settings)[1]
    assert parts["shrink"] == 0  # without a text nothing is learnt
    shrink[:, 2:5, 2:5] = 1
    parts = db_loss(maps, shrink, ones, 0.5 * ones, ones, settings=settings)[1]
    assert parts["shrink"] == pytest.approx(2 * float(dice_loss(maps[:, 0], shrink, ones)))
    assert parts["threshold"] == pytest.approx(3 * float(masked_l1(maps[:, 1], 0.5 * ones, ones)))


@pytest.mark.parametrize("refined", [False, True], ids=["DBHead", "PFHeadLocal"])
@pytest.mark.parametrize("main", ["DiceLoss", "BCELoss"])
def test_db_loss_is_paddleocrs(main: Literal["DiceLoss", "BCELoss"], refined: bool) -> None:
    golden = np.load(Path(__file__).parents[2] / "golden" / "paddleocr_losses.npz")
    maps, targets = torch.from_numpy(golden["maps"]), torch.from_numpy(golden["targets"])
    loss, parts = db_loss(maps, *targets, settings=DBLossSettings(main), refined=refined)
    told = [float(loss), *(parts.get(name, 0.0) for name in ("shrink", "threshold", "binary", "unrefined"))]
    assert told == pytest.approx(golden[f"{main} {refined}"].tolist(), rel=1e-5)
