"""Each network has exactly the parameters of PaddleOCR's, which `tests/golden/make_networks.py` lists."""

import json
from pathlib import Path

import pytest

from edge_lpr.architectures.registry import ARCHITECTURES

GOLDEN = Path(__file__).parents[1] / "golden" / "paddleocr_networks.json"
TABLE: dict[str, dict[str, str]] = json.loads(GOLDEN.read_text(encoding="utf-8"))
CLASSES = 71
# RapidOCR has no ResNet-vd: of these the definitions were read, and what they compute is Paddle's.
UNLISTED = {"ch_PP-OCRv3_det_teacher", "ch_ppocr_server_v2.0_det"}
OURS = {"slim_det"}


def test_every_network_is_listed() -> None:
    assert set(ARCHITECTURES.names()) == set(TABLE) | UNLISTED | OURS


@pytest.mark.parametrize("name", TABLE)
def test_names_and_shapes(name: str) -> None:
    architecture = ARCHITECTURES[name]
    ours = {p.name: "x".join(map(str, p.shape)) for p in architecture.parameters(CLASSES, training=True)}
    theirs = {n: shape for n, shape in TABLE[name].items() if n in ours or not _unused(n, name)}
    assert ours == theirs


def _unused(parameter: str, name: str) -> bool:
    return parameter.startswith(ARCHITECTURES[name].training_only)
