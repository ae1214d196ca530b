from __future__ import annotations

import json
from pathlib import Path

import pytest
from helpers.extras import reason

pytest.importorskip("yaml", reason=reason("yaml", "finetune"))
pytest.importorskip("onnxruntime", reason=reason("onnxruntime", "cpu"))

from edge_lpr.benchmarks.detectors import main
from edge_lpr.benchmarks.pairs import ratio
from edge_lpr.bundle.manifest import bundled, load_bundle
from edge_lpr.export.join import join


def test_ratios_are_those_of_pairs() -> None:
    assert ratio([1, 30, 3], [2, 10, 6]) == 0.5


def test_the_table(scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = load_bundle()
    again = join(own, own, tmp_path / "again").path
    out = tmp_path / "d.json"
    words = [str(scenes), "--bundle", str(bundled()), "--bundle", str(again), "--json", str(out)]
    assert main(words) == 0
    assert "2 scenes held out" in capsys.readouterr().out
    found = json.loads(out.read_text(encoding="utf-8"))
    first, second = found["detectors"].values()
    assert list(found["detectors"]) == [str(bundled()), str(again)] and found["scenes"] == 2
    assert first["reads"]["recall"] == first["boxes"]["recall"] == 1.0
    assert (first["reads"], first["boxes"]) == (second["reads"], second["boxes"])
    assert first["ratios"] == {"picture": 1.0, "network": 1.0}
    assert 0 < first["ms"]["network"] < first["ms"]["picture"]
    assert main([*words, "--all", "--limit", "5"]) == 0
    assert json.loads(out.read_text(encoding="utf-8"))["scenes"] == 5


def test_bad_input_is_one_line(scenes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = str(bundled())
    assert main([str(scenes), "--bundle", own, "--bundle", own]) == 2
    assert "--bundle: the same folder is given twice" in capsys.readouterr().err
    lines = (scenes / "det.txt").read_text(encoding="utf-8").splitlines()[:3]
    (scenes / "det.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert main([str(scenes), "--bundle", own]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert main([str(scenes), "--bundle", own, "--json", str(scenes / "det.txt")]) == 2
    assert (scenes / "det.txt").read_text(encoding="utf-8").splitlines() == lines
