"""The benchmark of decoding on two rendered scenes; no number of it is looked at."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.extras import reason

from edge_lpr.benchmarks import decoding
from edge_lpr.io.image_io import write_image
from edge_lpr.types import Image


def test_both_ways_read_each_image_alike(
    tmp_path: Path, plate_scene: Callable[..., Image], capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime", reason=reason("onnxruntime", "cpu"))
    lines = []
    for n, x in enumerate((40, 100)):
        write_image(tmp_path / f"{n}.png", plate_scene(x=x))
        points = [[x, 90], [x + 160, 90], [x + 160, 141], [x, 141]]
        lines.append(f"{n}.png\t{json.dumps([{'transcription': '皖A13H25', 'points': points}])}\n")
    (tmp_path / "det.txt").write_text("".join(lines), encoding="utf-8")
    out = tmp_path / "out" / "decoding.json"
    out.parent.mkdir()
    assert decoding.main([str(tmp_path), "--threads", "1", "--repeats", "1", "--json", str(out)]) == 0
    found = json.loads(out.read_text(encoding="utf-8"))
    assert (found["images"], found["unlike"]) == (2, 0)
    assert 0 < found["shortcuts"] <= found["posteriors"]
    assert found["ms_around_the_networks"]["search"] > 0 and found["machine"]["cores"] >= 1
    assert f"{found['shortcuts']} of {found['posteriors']} posteriors" in capsys.readouterr().out
    assert decoding.main([str(tmp_path), "--limit", "0"]) == 2
    assert "--limit 0: leaves no image to read" in capsys.readouterr().err
