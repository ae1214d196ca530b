"""What is compared, and what a gate takes."""

from __future__ import annotations

import pytest

from edge_lpr.bundle import load_bundle
from edge_lpr.calib.comparison.compare import Variant, gates, variants
from edge_lpr.errors import SettingError
from edge_lpr.precisions import PRECISIONS, Precision


def test_fp32_comes_first_and_every_precision_runs_on_every_backend() -> None:
    found = variants(load_bundle(), ["auto", "onnxruntime"])
    assert found[0] == Variant("fp32", "auto")
    assert [str(v) for v in found[3:]] == ["fp32 onnxruntime", "fp16 onnxruntime", "int8 onnxruntime"]


@pytest.mark.parametrize(
    "text", ["int8", "int8:", "int8:x", "int8:-1", "int8:101", "int8:nan", "fp32:1", "int4:1"]
)
def test_a_gate_that_cannot_be_is_one_line(text: str) -> None:
    with pytest.raises(SettingError, match=r"expected PRECISION:POINTS, .* precisions are fp16, int8"):
        gates([text])


def test_a_gate_takes_what_is_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PRECISIONS, "_choices", dict(PRECISIONS._choices))
    PRECISIONS.register(Precision("w16", 5, 5, "", 0.1, ()))
    assert gates(["w16:0.5", "int8:0.25"]) == {"w16": 0.5, "int8": 0.25}
