from __future__ import annotations

import json
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.extras import reason
from helpers.train_configs import train_config

torch = pytest.importorskip("torch", reason=reason("torch", "finetune"))

from edge_lpr.architectures.registry import ARCHITECTURES  # noqa: E402
from edge_lpr.architectures.torch_builder import TorchNetwork, weights_of  # noqa: E402
from edge_lpr.datasets.labels import load_labels  # noqa: E402
from edge_lpr.errors import InputError, ModelError  # noqa: E402
from edge_lpr.finetune.recipe.config import TrainConfig  # noqa: E402
from edge_lpr.finetune.synthesis.training_images import RenderedCrops  # noqa: E402
from edge_lpr.finetune.training.rec import (  # noqa: E402
    HEAD_CHARSET,
    UNKNOWN_LINE,
    RecTraining,
    cut_head_weights,
    encode,
    jitter_corners,
)

FULL = ("甲", *reversed(HEAD_CHARSET), "乙", "丙")
QUAD = np.array([[10, 10], [110, 12], [110, 42], [10, 40]], np.float32)


@pytest.fixture(scope="module")
def full_head() -> dict[str, np.ndarray]:
    torch.manual_seed(3)
    return weights_of(TorchNetwork(ARCHITECTURES["ch_PP-OCRv3_rec"], len(FULL) + 1))


def config(**changes: object) -> TrainConfig:
    given = {"batch": 4, "camera": True, "frozen_blocks": 0} | changes
    return train_config("rec", **given)


def test_cut_head_keeps_the_rows_of_plate_characters(full_head: dict[str, np.ndarray]) -> None:
    cut = cut_head_weights(full_head, FULL, "x")
    weight, bias = full_head["head.ctc_head.fc.weight"], full_head["head.ctc_head.fc.bias"]
    new = cut["head.ctc_head.fc.weight"]
    assert new.shape == (64, len(HEAD_CHARSET) + 2)
    assert np.array_equal(new[:, 0], weight[:, 0])
    for i, character in enumerate(HEAD_CHARSET, 1):
        assert np.array_equal(new[:, i], weight[:, FULL.index(character) + 1])
    dropped = [FULL.index(c) + 1 for c in "甲乙丙"]
    assert np.allclose(new[:, -1], weight[:, dropped].mean(1), atol=1e-6)
    assert cut["head.ctc_head.fc.bias"][-1] == pytest.approx(bias[dropped].mean() + np.log(3), abs=1e-5)


def test_other_begins_below_the_log_sum_exp_of_what_it_stands_for(full_head: dict[str, np.ndarray]) -> None:
    cut = cut_head_weights(full_head, FULL, "x")
    features = np.random.default_rng(0).normal(0, 1, (50, 64)).astype(np.float32)
    logits = features @ full_head["head.ctc_head.fc.weight"] + full_head["head.ctc_head.fc.bias"]
    exact = np.log(np.exp(logits[:, [FULL.index(c) + 1 for c in "甲乙丙"]]).sum(1))
    other = (features @ cut["head.ctc_head.fc.weight"] + cut["head.ctc_head.fc.bias"])[:, -1]
    assert (other <= exact + 1e-4).all()


def test_a_cut_head_stays(full_head: dict[str, np.ndarray]) -> None:
    cut = cut_head_weights(full_head, FULL, "x")
    again = cut_head_weights(cut, (*HEAD_CHARSET, UNKNOWN_LINE), "x")
    assert all(np.array_equal(cut[name], again[name]) for name in cut)


def test_heads_that_do_not_fit(full_head: dict[str, np.ndarray]) -> None:
    with pytest.raises(ModelError, match=f"the head has {len(FULL) + 1} classes, the dictionary makes 4"):
        cut_head_weights(full_head, FULL[:3], "x")
    with pytest.raises(ModelError, match="no checkpoint of ch_PP-OCRv3_rec"):
        cut_head_weights({}, FULL, "x")
    renamed = tuple("丁" if c == "皖" else c for c in FULL)
    with pytest.raises(ModelError, match="lacks '皖'"):
        cut_head_weights(full_head, renamed, "x")


def test_encode() -> None:
    assert [HEAD_CHARSET[c - 1] for c in encode("皖A1")] == ["皖", "A", "1"]
    assert encode("甲") == [len(HEAD_CHARSET) + 1]


def test_jitter_grows_more_than_it_shrinks_and_never_far() -> None:
    rng = np.random.default_rng(0)
    moved = np.stack([jitter_corners(QUAD, rng) for _ in range(500)])
    areas = np.array([cv2.contourArea(q) for q in moved]) / cv2.contourArea(QUAD)
    assert areas.mean() > 1.02
    assert areas.min() > 0.7
    assert np.abs(moved - QUAD).max() < 0.2 * 100
    assert np.array_equal(jitter_corners(QUAD, rng, 0.0), QUAD)


def test_batches_depend_on_seed_and_step_alone(full_head: dict[str, np.ndarray]) -> None:
    task = RecTraining(config(), full_head, FULL, "x", render=RenderedCrops())
    copy = pickle.loads(pickle.dumps(task))
    first, again, other = task.batch(7), copy.batch(7), task.batch(8)
    assert copy.network is None
    assert first.images.shape == (4, 48, 160, 3)
    assert first.images.dtype == torch.uint8
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.targets, again.targets)
    assert not torch.equal(first.images, other.images)
    assert 4 <= int(first.lengths.max()) <= 10


def test_loss_and_metric(full_head: dict[str, np.ndarray]) -> None:
    task = RecTraining(config(), full_head, FULL, "x", render=RenderedCrops())
    loss, _ = task.loss(task.network, task.batch(0))
    assert torch.isfinite(loss)
    task._fixed = (np.zeros((2, 48, 160, 3), np.uint8), ["皖A12345", "皖A12346"])
    metrics = task.evaluate(task.network.eval())
    assert metrics["accuracy"] == 0
    assert metrics["loss"] > 0


def test_frozen_blocks_get_no_gradient(full_head: dict[str, np.ndarray]) -> None:
    task = RecTraining(config(frozen_blocks=2), full_head, FULL, "x", render=RenderedCrops())
    trained = {name for name, p in task.network.named_parameters() if p.requires_grad}
    assert "backbone.block_list.2._depthwise_conv._conv.weight" in trained
    assert not any(n.startswith(("backbone.conv1.", "backbone.block_list.1.")) for n in trained)


def test_labelled_crops_and_scenes(tmp_path: Path, full_head: dict[str, np.ndarray]) -> None:
    rng = np.random.default_rng(1)
    for name in ("a.png", "b.png"):
        cv2.imwrite(str(tmp_path / name), rng.integers(0, 255, (80, 160, 3), np.uint8))
    (tmp_path / "rec.txt").write_text("a.png\t皖A12345\n", encoding="utf-8")
    points = [[10, 10], [100, 10], [100, 40], [10, 40]]
    labels = [{"transcription": text, "points": points} for text in ("苏B12345", "###")]
    (tmp_path / "det.txt").write_text(f"b.png\t{json.dumps(labels)}", encoding="utf-8")
    samples = load_labels([tmp_path]).samples
    task = RecTraining(
        config(batch=16, mirrored_share=0.0),
        full_head,
        FULL,
        "x",
        render=None,
        samples=samples,
        validation=samples,
    )
    assert sorted(text for _, text, _ in task.samples) == ["皖A12345", "苏B12345"]
    texts = {"".join(HEAD_CHARSET[c - 1] for c in row[:7]) for row in task.batch(0).targets.tolist()}
    assert texts == {"皖A12345", "苏B12345"}
    assert set(task.evaluate(task.network.eval())) == {"accuracy", "free_accuracy", "loss"}
    # An image that is lost later is replaced by another; where all are, the run says so.
    (tmp_path / "a.png").unlink()
    assert {"".join(HEAD_CHARSET[c - 1] for c in row) for row in task.batch(1).targets.tolist()} == {
        "苏B12345"
    }
    (tmp_path / "b.png").unlink()
    with pytest.raises(InputError, match="20 labelled images in a row cannot be read"):
        task.batch(2)


def test_labelled_plates_as_ppocr_shows_them(tmp_path: Path, full_head: dict[str, np.ndarray]) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full((48, 140, 3), (200, 90, 10), np.uint8))
    (tmp_path / "rec.txt").write_text("a.png\t皖A12345\n", encoding="utf-8")
    samples = load_labels([tmp_path]).samples
    settings = config(batch=32, width=320, camera=False, concat_share=0.5)
    task = RecTraining(settings, full_head, FULL, "x", render=None, samples=samples, validation=samples)
    batch = task.batch(0)
    assert torch.equal(batch.images, task.batch(0).images)
    # Blue, or its negative: no other light than RecAug's.
    blue, orange = (
        (batch.images.float().mean((1, 2)) - torch.tensor(c)).abs().amax(1) < 4
        for c in ((200.0, 90.0, 10.0), (55.0, 165.0, 245.0))
    )
    assert bool((blue | orange).all())
    assert 4 < int(orange.sum()) < 28
    assert set(batch.lengths.tolist()) == {7, 14}


def test_nothing_to_train_on(full_head: dict[str, np.ndarray]) -> None:
    with pytest.raises(InputError, match="nothing to train on"):
        RecTraining(config(), full_head, FULL, "x", render=None)


def test_a_mirrored_plate_is_taught_as_no_plate(tmp_path: Path, full_head: dict[str, np.ndarray]) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full((48, 140, 3), (200, 90, 10), np.uint8))
    (tmp_path / "rec.txt").write_text("a.png\t皖A12345\n", encoding="utf-8")
    samples = load_labels([tmp_path]).samples
    settings = config(batch=16, mirrored_share=1.0)
    task = RecTraining(settings, full_head, FULL, "x", render=None, samples=samples, validation=samples)
    assert set(task.batch(0).targets.flatten().tolist()) == {len(HEAD_CHARSET) + 1}


def test_a_config_of_paddleocr_shows_each_labelled_plate_once_an_epoch_as_it_is(
    tmp_path: Path, full_head: dict[str, np.ndarray]
) -> None:
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 255, (24, 60, 3), np.uint8) for _ in range(5)]
    for i, image in enumerate(images):
        cv2.imwrite(str(tmp_path / f"{i}.png"), image)
    lines = "".join(f"{i}.png\t皖A1234{i}\n" for i in range(5))
    (tmp_path / "rec.txt").write_text(lines, encoding="utf-8")
    plain = {
        "mirrored_share": 0.0,
        "slanted_share": 0.0,
        "corner_jitter": 0.0,
        "balance": False,
        "camera": False,
    }
    transforms = "Train.dataset.transforms"
    settings = config(
        batch=2,
        render=False,
        steps=0,
        **plain,
        **{f"{transforms}.RecAug": False, f"{transforms}.RecResizeImg.padding": True},
        **{"Eval.dataset.transforms.RecResizeImg.padding": True},
    )
    samples = load_labels([tmp_path]).samples
    task = RecTraining(settings.sized(5), full_head, FULL, "x", render=None, samples=samples)
    batches = [task.batch(step) for step in range(3)]
    assert [len(batch.images) for batch in batches] == [2, 2, 1]
    seen = {}
    for batch in batches:
        for image, row in zip(batch.images.numpy(), batch.targets.tolist(), strict=True):
            seen["".join(HEAD_CHARSET[c - 1] for c in row)] = image
        assert torch.equal(batch.valid, torch.full((len(batch.images),), 120 / 160))
    assert sorted(seen) == [f"皖A1234{i}" for i in range(5)]
    # At its own proportions, the rest is grey.
    for i, image in enumerate(images):
        shown = seen[f"皖A1234{i}"]
        assert np.array_equal(shown[:, :120], cv2.resize(image, (120, 48), interpolation=cv2.INTER_LINEAR))
        assert set(shown[:, 120:].flatten().tolist()) <= {127, 128}


def test_batches_of_several_sizes(tmp_path: Path) -> None:
    name = "PP-OCRv4_mobile_rec"
    torch.manual_seed(3)
    head = weights_of(TorchNetwork(ARCHITECTURES[name], len(HEAD_CHARSET) + 2))
    rng = np.random.default_rng(0)
    for i in range(7):
        cv2.imwrite(str(tmp_path / f"{i}.png"), rng.integers(0, 255, (24, 60, 3), np.uint8))
    lines = "".join(f"{i}.png\t皖A1234{i}\n" for i in range(7))
    (tmp_path / "rec.txt").write_text(lines, encoding="utf-8")
    samples = load_labels([tmp_path]).samples
    transforms = "dataset.transforms.RecResizeImg.padding"
    scales = {"name": "MultiScaleSampler", "scales": [[160, 32], [160, 48], [160, 64]], "first_bs": 3}
    sampler = {**scales, "fix_bs": False, "divided_factor": [8, 16]}
    more = {
        "Train.sampler": sampler,
        f"Eval.{transforms}": True,
        "network": name,
        "steps": 0,
        "balance": False,
        "mirrored_share": 0.0,
    }
    settings = config(render=False, **more).sized(7)
    task = RecTraining(settings, head, (*HEAD_CHARSET, UNKNOWN_LINE), "x", render=None, samples=samples)
    batches = [pickle.loads(pickle.dumps(task)).batch(step) for step in range(settings.epoch_steps)]
    sizes = sorted((batch.images.shape[1], len(batch.images)) for batch in batches)
    assert sizes == [(32, 3), (32, 3), (48, 2), (48, 2), (64, 1), (64, 1)]
    # Every line is shown, and some of them once more, so that the turn of sizes is whole.
    assert sum(len(batch.images) for batch in batches) == 12
    assert {tuple(row) for batch in batches for row in batch.targets.tolist()} == {
        tuple(encode(f"皖A1234{i}")) for i in range(7)
    }
    task.network.train()
    for batch in batches[:3]:
        assert torch.isfinite(task.loss(task.network, batch)[0])
        assert task.network(batch.images).shape[1] == 160 // 8
    # Drawn ones take turns.
    drawn = config(**(more | {"steps": 1}))
    other = RecTraining(drawn, head, (*HEAD_CHARSET, UNKNOWN_LINE), "x", render=RenderedCrops())
    assert [other.batch(step).images.shape[:2] for step in range(4)] == [(3, 32), (2, 48), (1, 64), (3, 32)]
