"""The branches that guide, by numbers of PaddleOCR's own (`golden/make_guides.py`)."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
import pytest
from helpers.extras import reason
from helpers.train_configs import train_config

torch = pytest.importorskip("torch", reason=reason("torch", "finetune"))
pytest.importorskip("yaml", reason=reason("yaml", "finetune"))

from torch import nn  # noqa: E402

from edge_lpr.architectures.pdparams import load_checkpoint, save_checkpoint  # noqa: E402
from edge_lpr.architectures.registry import ARCHITECTURES, identify  # noqa: E402
from edge_lpr.architectures.torch_builder import TorchNetwork, load_weights, weights_of  # noqa: E402
from edge_lpr.finetune.recipe.networks import Guide  # noqa: E402
from edge_lpr.finetune.synthesis.training_images import RenderedCrops  # noqa: E402
from edge_lpr.finetune.training import rec  # noqa: E402
from edge_lpr.finetune.training.guides import (  # noqa: E402
    PREFIXES,
    GuidedNetwork,
    NRTRBranch,
    SARBranch,
    cut_guide_weights,
)
from edge_lpr.finetune.training.rec import HEAD_CHARSET, RecTraining  # noqa: E402
from edge_lpr.finetune.training.run import RunFiles, finetune  # noqa: E402
from edge_lpr.finetune.training.trainer import StepReport  # noqa: E402

GOLDEN = np.load(Path(__file__).parents[2] / "golden" / "paddleocr_guides.npz")
SAR = Guide("SAR", 4, 7, attention=3, encoder_dropout=0.0, dropout=0.0)
NRTR = Guide("NRTR", 32, 7, dropout=0.0, layers=2)
TEXTS = ([1, 2, 3], [4, 4, 1, 6, 5], [2])
CHARACTERS, CHANNELS = 6, 5


def filled(branch: SARBranch | NRTRBranch, kind: str) -> nn.Module:
    """Puts PaddleOCR's weights into a branch; all of them, and no others."""
    holder = nn.Module()
    for name, part in branch.parts().items():
        holder.add_module(name, part)
    wanted = {n.partition(":")[2]: GOLDEN[n] for n in GOLDEN.files if n.startswith(f"{kind}:")}
    mine = weights_of(holder)
    assert mine.keys() == wanted.keys()
    state = holder.state_dict()
    linear = {f"{n}.weight" for n, m in holder.named_modules() if isinstance(m, nn.Linear)}
    for name, value in state.items():
        array = wanted[name].T if name in linear else wanted[name]
        if name.endswith(".pe"):
            assert np.allclose(mine[name][: len(array)], array, atol=1e-5)
            continue
        assert mine[name].shape == wanted[name].shape
        state[name] = torch.from_numpy(np.array(array)).reshape(value.shape)
    holder.load_state_dict(state)
    return holder


def classes() -> tuple[torch.Tensor, torch.Tensor]:
    rows = torch.zeros(len(TEXTS), 5, dtype=torch.long)
    for row, text in zip(rows, TEXTS, strict=True):
        row[: len(text)] = torch.tensor(text)
    return rows, torch.tensor([len(text) for text in TEXTS])


@pytest.mark.parametrize(
    ("kind", "branch", "name"),
    [
        ("SAR", lambda: SARBranch(CHANNELS, CHARACTERS, SAR), "loss"),
        ("NRTR", lambda: NRTRBranch(CHANNELS, CHARACTERS, NRTR), "loss"),
        ("NRTR", lambda: NRTRBranch(CHANNELS, CHARACTERS, NRTR, smoothing=False), "plain loss"),
    ],
)
def test_losses_and_gradients_are_paddleocrs(kind: str, branch: object, name: str) -> None:
    made = branch()  # type: ignore[operator]
    filled(made, kind).train()
    features = torch.from_numpy(GOLDEN["features"]).requires_grad_()
    loss = made.loss(features, *classes(), torch.from_numpy(GOLDEN["valid"]))
    assert float(loss.detach()) == pytest.approx(float(GOLDEN[f"{kind} {name}"]), rel=1e-5)
    if name == "loss":
        loss.backward()
        assert features.grad is not None
        assert np.allclose(features.grad.numpy(), GOLDEN[f"{kind} gradient"], atol=1e-6)


@pytest.mark.parametrize(
    "branch", [SARBranch(CHANNELS, CHARACTERS, SAR), NRTRBranch(CHANNELS, CHARACTERS, NRTR)]
)
def test_texts_too_long_for_a_branch_are_left_out(branch: SARBranch | NRTRBranch) -> None:
    features, valid = torch.from_numpy(GOLDEN["features"]), torch.from_numpy(GOLDEN["valid"])
    rows, lengths = torch.ones(3, 6, dtype=torch.long), torch.tensor([6, 2, 6])
    together = branch.loss(features, rows, lengths, valid)
    alone = branch.loss(features[1:2], rows[1:2], lengths[1:2], valid[1:2])
    assert float(together.detach()) == pytest.approx(float(alone.detach()), rel=1e-5)
    none = branch.loss(features, rows, torch.tensor([6, 6, 6]), valid)
    assert float(none.detach()) == 0


SIZES = {"SAR": {"enc_dim": 8, "d_k": 4}, "NRTR": {"nrtr_dim": 32, "num_decoder_layers": 1}}


def guided_config(kind: str, **changes: object):  # type: ignore[no-untyped-def] # noqa: ANN201
    neck = "Architecture.Head.head_list.CTCHead.Neck.use_guide"
    heads = [
        {
            "CTCHead": {
                "Neck": {"name": "svtr", "dims": 64, "depth": 2, "hidden_dims": 120},
                "Head": {"fc_decay": 0.0},
            }
        },
        {f"{kind}Head": {**SIZES[kind], "max_text_length": 12}},
    ]
    given = {
        "Architecture.Head.head_list": heads,
        neck: True,
        "Loss.loss_config_list": [{"CTCLoss": None}, {f"{kind}Loss": None}],
        **{
            f"{s}.dataset.transforms.MultiLabelEncode": {
                "gtc_encode": None if kind == "SAR" else "NRTRLabelEncode"
            }
            for s in ("Train", "Eval")
        },
        "batch": 2,
        "frozen_blocks": 0,
        **changes,
    }
    return train_config("rec", **given)


@pytest.fixture(scope="module")
def start() -> dict[str, np.ndarray]:
    torch.manual_seed(0)
    return weights_of(TorchNetwork(ARCHITECTURES["ch_PP-OCRv3_rec"], len(HEAD_CHARSET) + 4))


FULL = (*HEAD_CHARSET, "@", "#", "%")


@pytest.mark.parametrize("kind", ["SAR", "NRTR"])
def test_a_guide_is_trained_and_is_in_the_checkpoint_but_not_in_the_network(
    kind: str, start: dict[str, np.ndarray]
) -> None:
    task = RecTraining(guided_config(kind), start, FULL, "x", render=RenderedCrops())
    network = task.network.train()
    loss, parts = task.loss(network, task.batch(0))
    assert set(parts) == {"CTC", kind}
    loss.backward()  # type: ignore[no-untyped-call]
    gradients = {n: p.grad for n, p in network.named_parameters()}
    assert gradients["backbone.conv1._conv.weight"] is not None
    guide = {n for n in gradients if n.startswith(PREFIXES)}
    assert guide and all(gradients[n] is not None for n in guide)
    arrays = weights_of(network)
    found = identify(arrays, "rec", "x")
    assert set(found.ignored) == {n for n in arrays if n.startswith(PREFIXES)} >= guide
    # Another run goes on from the guide that this one has trained.
    again = RecTraining(
        guided_config(kind), arrays, (*HEAD_CHARSET, "<unknown>"), "x", render=RenderedCrops()
    )
    assert all(np.array_equal(arrays[n], a) for n, a in weights_of(again.network).items())


def test_with_a_guide_ctc_does_not_train_the_backbone(start: dict[str, np.ndarray]) -> None:
    for use_guide in (True, False):
        network = GuidedNetwork(ARCHITECTURES["ch_PP-OCRv3_rec"], 8, SAR, use_guide=use_guide).train()
        logits, _ = network.guided(
            torch.zeros(1, 48, 64, 3, dtype=torch.uint8),
            torch.tensor([[1, 2]]),
            torch.tensor([2]),
            torch.ones(1),
        )
        logits.sum().backward()
        assert (network.get_parameter("backbone.conv1._conv.weight").grad is None) == use_guide


def test_a_guide_is_cut_to_the_characters_of_plates() -> None:
    sar, nrtr = SARBranch(CHANNELS, CHARACTERS, SAR), NRTRBranch(CHANNELS, CHARACTERS, NRTR)
    holder = nn.Module()
    holder.head = nn.Module()
    for part in (sar, nrtr):
        for name, module in part.parts().items():
            holder.head.add_module(name, module)
    arrays = weights_of(holder)
    cut = cut_guide_weights(arrays, np.array([4, 0]), np.array([1, 2, 3, 5]))
    old, new = (a["head.sar_head.decoder.embedding.weight"] for a in (arrays, cut))
    assert np.allclose(new, [old[4], old[0], old[[1, 2, 3, 5]].mean(0), *old[6:]])
    old, new = (a["head.sar_head.decoder.prediction.bias"] for a in (arrays, cut))
    assert np.allclose(new, [old[4], old[0], old[[1, 2, 3, 5]].mean() + np.log(4), *old[6:]])
    old, new = (a["head.gtc_head.tgt_word_prj.weight"] for a in (arrays, cut))
    assert np.allclose(new.T, [*old.T[:4], old[:, 8], old[:, 4], old[:, [5, 6, 7, 9]].mean(1), old[:, 10]])
    assert cut["head.gtc_head.embedding.embedding.weight"].shape == (4 + 2 + 1 + 1, 32)
    network = GuidedNetwork(ARCHITECTURES["ch_PP-OCRv3_rec"], 4, SAR, use_guide=True)
    wanted = {n: a.shape for n, a in weights_of(network).items() if "prediction" in n or "embedding" in n}
    assert {n: cut[n].shape[-1:] for n in wanted} == {
        n: s[-1:] for n, s in wanted.items() if "weight" in n
    } | {n: s for n, s in wanted.items() if "bias" in n}
    assert load_weights(network, weights_of(network), source="x") == []


def test_a_guided_run_that_was_stopped_goes_on_to_the_same_weights(
    start: dict[str, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rec.RecTraining, "evaluate", lambda *_: {"accuracy": 0.5})
    save_checkpoint(tmp_path / "rec.pdparams", start)
    (tmp_path / "keys.txt").write_text("\n".join(FULL) + "\n", encoding="utf-8")
    files = RunFiles(tmp_path / "rec.pdparams", tmp_path / "keys.txt")
    settings = guided_config("SAR", steps=2, batch=1, width=64)
    finetune(settings, files, tmp_path / "whole")

    def stop(report: StepReport) -> None:
        if report.step == 1:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        finetune(settings, files, tmp_path / "parts", report=stop)
    finetune(settings, files, tmp_path / "parts", resume=True)
    whole, parts = (load_checkpoint(tmp_path / name / "latest.pdparams") for name in ("whole", "parts"))
    assert whole.keys() == parts.keys() and any(name.startswith(PREFIXES) for name in whole)
    assert all(np.array_equal(whole[name], parts[name]) for name in whole)
