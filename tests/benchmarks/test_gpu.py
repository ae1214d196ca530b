"""What of the GPU benchmark runs anywhere: a dry run, and what it says of bad input."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.extras import reason

from edge_lpr.benchmarks import gpu
from edge_lpr.bundle.manifest import bundled

SAMPLES = Path(__file__).resolve().parents[2] / "samples"


def test_a_dry_run_writes_a_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video = SAMPLES / "street.mp4"
    if not video.is_file() or not (bundled() / "bundle.json").is_file():
        pytest.skip("needs the sample video and the default bundle")
    pytest.importorskip("onnxruntime", reason=reason("onnxruntime", "cpu"))
    out = tmp_path / "gpu.json"
    quick = ["--det-size", "672x384", "--images", "2", "--seconds", "0.1", "--workers", "1", "2"]
    assert gpu.main(["--dry-run", "--video", str(video), *quick, "--json", str(out)]) == 0
    report = json.loads(out.read_text(encoding="utf-8"))
    assert report["dry_run"] and report["parts"]["reference"]["state"] == "done"
    assert report["parts"]["reference"]["result"]["images"] == 2
    names = list(report["parts"])
    first = ["build det fp16", "build rec fp16"]
    first += [f"{part} fp16" for part in ("agreement", "throughput", "layers", "pipeline")]
    assert names[:10] == ["reference", "host", *first, "refusals", "memory"]
    rates = report["parts"]["host"]["result"]["frames_per_second_by_batches_at_work"]
    assert set(rates) == {"1", "2"} and min(rates.values()) > 0
    assert report["parts"]["build rec fp32"] == {"state": "not run", "reason": "dry run"}
    assert "reference: done" in capsys.readouterr().out


def test_bad_input_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu.main(["--dry-run", "--video", str(tmp_path / "no.mp4")]) == 2
    assert capsys.readouterr().err.startswith(f"benchmarks.gpu: {tmp_path / 'no.mp4'}: no frames to read")
