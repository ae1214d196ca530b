"""The networks in Paddle compute what those in PyTorch compute, a new one written as one table among them."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from helpers.extras import reason

torch = pytest.importorskip("torch", reason=reason("torch", "finetune"))

from helpers.tiny_architecture import TINY, TINY_DETECTORS  # noqa: E402
from helpers.torch_weights import randomised  # noqa: E402

from edge_lpr.architectures import registry  # noqa: E402
from edge_lpr.architectures.pdparams import load_checkpoint, save_checkpoint  # noqa: E402
from edge_lpr.architectures.registry import ARCHITECTURES, Architecture, identify, register  # noqa: E402
from edge_lpr.architectures.torch_builder import TorchNetwork, load_weights, weights_of  # noqa: E402
from edge_lpr.errors import ModelError  # noqa: E402

CLASSES = 77
IMAGES = {
    "ch_PP-OCRv3_det": (1, 64, 96, 3),
    "ch_PP-OCRv3_rec": (2, 48, 160, 3),
    "slim_det": (1, 64, 96, 3),
    "PP-OCRv4_mobile_det": (1, 64, 96, 3),
    "PP-OCRv4_mobile_rec": (2, 48, 160, 3),
    "PP-OCRv3_rec_without_guide": (1, 48, 64, 3),
    TINY.name: (2, 48, 96, 3),
    **{architecture.name: (1, 64, 96, 3) for architecture in TINY_DETECTORS},
}

# In a process of its own, since two frameworks in one process get in each other's way.
PADDLE = """
import sys
import numpy as np, paddle
from helpers.tiny_architecture import TINY, TINY_DETECTORS
from edge_lpr.architectures.paddle_builder import filled
from edge_lpr.architectures.pdparams import load_checkpoint, save_checkpoint
from edge_lpr.architectures.registry import identify, register
for made_up in (TINY, *TINY_DETECTORS):
    register(made_up)
folder, *names = sys.argv[1:]
for name in names:
    arrays = load_checkpoint(f"{folder}/{name}.pdparams")
    checkpoint = identify(arrays, "det" if name.endswith("det") else "rec", name)
    assert checkpoint.architecture.name == name
    network = filled(checkpoint, arrays)
    wanted = {p.name: p.shape for p in checkpoint.architecture.parameters(checkpoint.classes)}
    assert {n: tuple(p.shape) for n, p in network.state_dict().items()} == wanted
    out = network(paddle.to_tensor(np.load(f"{folder}/{name}_in.npy")))
    np.save(f"{folder}/{name}_out.npy", out.numpy())
    again = {n: p.numpy() for n, p in network.state_dict().items()}
    save_checkpoint(f"{folder}/{name}_again.pdparams", again)
"""


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> dict[str, Architecture]:
    """The architectures of the package and the made-up one, which is known here alone."""
    there = {name: ARCHITECTURES[name] for name in IMAGES if not name.startswith("tiny_")}
    monkeypatch.setattr(ARCHITECTURES, "_choices", there)
    for architecture in (TINY, *TINY_DETECTORS):
        register(architecture)
    return there


def made(architecture: Architecture) -> TorchNetwork:
    return randomised(TorchNetwork(architecture, CLASSES if architecture.part == "rec" else 0))


@pytest.mark.skipif(find_spec("paddle") is None, reason=reason("paddle", "export"))
def test_paddle_computes_the_same_and_keeps_the_same_parameters(
    known: dict[str, Architecture], tmp_path: Path
) -> None:
    rng = np.random.default_rng(5)
    found = {}
    for name, architecture in known.items():
        network = made(architecture)
        batch = rng.integers(0, 256, IMAGES[name], np.uint8)
        with torch.no_grad():
            out = network(torch.from_numpy(batch))
        found[name] = (out if architecture.part == "det" else out.softmax(-1)).numpy()
        normalised = (batch / 255 - architecture.mean) / architecture.std
        np.save(tmp_path / f"{name}_in.npy", normalised.transpose(0, 3, 1, 2).astype(np.float32))
        save_checkpoint(tmp_path / f"{name}.pdparams", weights_of(network))
    tests = Path(__file__).parents[1]
    path = os.pathsep.join([str(tests), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PADDLE, str(tmp_path), *known],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    for name, values in found.items():
        assert values.std() > 1e-4, "the comparison would compare nothing"
        assert np.abs(np.load(tmp_path / f"{name}_out.npy") - values).max() < min(1e-4, 0.01 * values.std())
        ours, again = (load_checkpoint(tmp_path / f"{name}{end}.pdparams") for end in ("", "_again"))
        assert all(np.array_equal(ours[n], a) for n, a in again.items())


def test_a_new_table_is_known_by_its_checkpoints_and_learns(known: dict[str, Architecture]) -> None:
    arrays = weights_of(made(TINY))
    checkpoint = identify({**arrays, "head.extra.x": np.zeros(1)}, "rec", "t")
    assert (checkpoint.architecture, checkpoint.classes, checkpoint.ignored) == (
        TINY,
        CLASSES,
        ["head.extra.x"],
    )
    with pytest.raises(
        ModelError,
        match=r"'backbone\.paths\.1\.bias'.*takes checkpoints of PP-OCRv3, Tiny, PP-OCRv4",
    ):
        identify({n: a for n, a in arrays.items() if n != "backbone.paths.1.bias"}, "rec", "t")
    network = TorchNetwork(registry.closest(arrays, "rec"), CLASSES)
    assert load_weights(network, arrays, source="t") == []
    images = torch.zeros(2, 48, 96, 3, dtype=torch.uint8)
    network.freeze(1)
    network.train()(images).square().mean().backward()
    trained = {name.split(".")[1] for name, p in network.named_parameters() if p.grad is not None}
    assert trained == {"paths", "ctc_encoder", "ctc_head", "body"}
    assert not any(p.requires_grad for p in network.backbone.stem.parameters())
