"""The CPU benchmark on two rendered scenes; no number of it is looked at."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.extras import reason

from edge_lpr.benchmarks import speed
from edge_lpr.io.image_io import write_image
from edge_lpr.types import Image


def test_each_way_reads_each_image(
    tmp_path: Path,
    plate_scene: Callable[..., Image],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("onnxruntime", reason=reason("onnxruntime", "cpu"))
    monkeypatch.setattr(speed, "SETTLE", 0.0)
    monkeypatch.setattr(speed, "rapidocr", lambda: None)
    lines = []
    for n, x in enumerate((40, 100)):
        write_image(tmp_path / f"{n}.png", plate_scene(x=x))
        points = [[x, 90], [x + 160, 90], [x + 160, 141], [x, 141]]
        lines.append(f"{n}.png\t{json.dumps([{'transcription': '皖A13H25', 'points': points}])}\n")
    (tmp_path / "det.txt").write_text("".join(lines), encoding="utf-8")
    out = tmp_path / "speed.json"
    arguments = [str(tmp_path), "--threads", "1", "--repeats", "1", "--out", str(out)]
    assert speed.main(arguments) == 0
    found = json.loads(out.read_text(encoding="utf-8"))
    assert json.loads(capsys.readouterr().out) == found
    assert (found["images"], found["edge_lpr"]["recall"]) == (2, 1.0)
    assert found["bare_sessions"]["images_per_second"] > 0 and "rapidocr" not in found
    assert found["page_of_200_words"]["crops"] >= 200
    assert found["machine"]["cores"] >= 1 and found["peak_memory_mb"] > 10
