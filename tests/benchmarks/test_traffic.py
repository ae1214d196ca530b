"""The estimate of bytes on the package's own networks: what the rules are there for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.extras import reason

pytest.importorskip("onnx", reason=reason("onnx", "test"))

from edge_lpr.benchmarks.traffic import main
from edge_lpr.bundle.manifest import bundled


def test_int8_by_the_rules_moves_less_than_fp16_and_fp16_less_than_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if not (bundled() / "bundle.json").is_file():
        pytest.skip("needs the default bundle")
    out = tmp_path / "traffic.json"
    assert main(["--json", str(out)]) == 0
    assert "MB, most fused" in capsys.readouterr().out
    found = json.loads(out.read_text(encoding="utf-8"))["networks"]
    moved = {(one["part"], one["precision"]): one for one in found}
    assert moved["det", "fp32"]["input"] == [1, 768, 1376, 3]
    for fused in ("bytes_most_fused", "bytes_least_fused"):
        fp32, fp16, int8 = (moved["det", name][fused] for name in ("fp32", "fp16 by rules", "int8 by rules"))
        assert int8 < 0.8 * fp16 < 0.5 * fp32
        assert moved["rec", "int8 by rules"][fused] < moved["rec", "fp16 by rules"][fused]


def test_figures_do_not_take_a_models_place(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json", str(bundled() / "det.fp32.onnx")]) == 2
    assert "det.fp32.onnx" in capsys.readouterr().err
