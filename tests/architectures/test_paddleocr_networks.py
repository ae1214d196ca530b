"""Each network is PaddleOCR's: `tests/golden/make_networks.py` ran its code on a checkpoint of ours."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from golden.drawn import CLASSES, picture, weights
from helpers.extras import reason

from edge_lpr.architectures.registry import ARCHITECTURES

GOLDEN = Path(__file__).parents[1] / "golden"
TABLE: dict[str, dict[str, str]] = json.loads(
    (GOLDEN / "paddleocr_networks.json").read_text(encoding="utf-8")
)
OUTPUTS = np.load(GOLDEN / "paddleocr_networks.npz")
OURS = {"slim_det"}
LARGE = {name for name in TABLE if "server" in name or "teacher" in name}
"""Seconds each, most of it for drawing their weights."""


def test_every_network_is_listed() -> None:
    assert set(ARCHITECTURES.names()) == set(TABLE) | OURS


@pytest.mark.parametrize("name", TABLE)
def test_names_shapes_and_their_order(name: str) -> None:
    """The order is that in which PaddleOCR makes them, which its inference models' names follow."""
    architecture = ARCHITECTURES[name]
    ours = architecture.parameters(CLASSES, training=True)
    theirs = {n: told.split() for n, told in TABLE[name].items()}
    known = {p.name for p in ours}
    assert {n for n in theirs.keys() - known if not n.startswith(architecture.training_only)} == set()
    assert {p.name: "x".join(map(str, p.shape)) for p in ours} == {n: theirs[n][0] for n in known}
    for kind in {p.kind for p in ours}:
        made = [(p.name, p.slot) for p in ours if p.kind == kind]
        assert sorted(made, key=lambda one: _number(theirs[one[0]][1])) == made
        assert [slot for _, slot in made] == [theirs[n][1].split(".")[1] for n, _ in made]


def _number(internal: str) -> int:
    found = re.search(r"_(\d+)\.", internal)
    assert found
    return int(found[1])


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] if n in LARGE else []) for n in TABLE]
)
def test_what_they_compute(name: str) -> None:
    torch = pytest.importorskip("torch", reason=reason("torch", "finetune"))
    from edge_lpr.architectures.torch_builder import TorchNetwork, load_weights

    architecture = ARCHITECTURES[name]
    network = TorchNetwork(architecture, CLASSES if architecture.part == "rec" else 0)
    load_weights(network, weights(architecture), source=name)
    image = torch.from_numpy(picture(architecture.part))
    for state in ("evaluating", "training"):
        if f"{name} {state}" not in OUTPUTS:
            continue
        network.train(state == "training")
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eval()
        with torch.no_grad():
            found = super(TorchNetwork, network).forward(image)
        found = (found.softmax(-1) if architecture.part == "rec" else found).numpy()
        wanted = OUTPUTS[f"{name} {state}"]
        assert wanted.std() > 1e-3, "the comparison would compare nothing"
        assert np.abs(found - wanted).max() < min(1e-4, 0.01 * wanted.std())
