"""A bundle of one bundle's detector and another one's recognizer."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.extras import reason

pytest.importorskip("onnxruntime", reason=reason("onnxruntime", "cpu"))

from edge_lpr.bundle.manifest import bundled, load_bundle
from edge_lpr.cli import main as edge_lpr
from edge_lpr.export.join import main
from edge_lpr.export.parity.reference import REFERENCE_FILE
from edge_lpr.precisions import REFERENCE


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """The default bundle, with another name, other sizes, and a reference that tells the two apart."""
    folder = Path(shutil.copytree(bundled(), tmp_path / "other"))
    raw = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
    raw["name"], raw["det"]["size"]["limit_side_len"], raw["rec"]["size"]["widths"] = "other", 512, [192]
    (folder / "bundle.json").write_text(json.dumps(raw), encoding="utf-8")
    report = json.loads((folder / "parity.json").read_text(encoding="utf-8"))
    report["seconds"] = 1.5
    (folder / "parity.json").write_text(json.dumps(report), encoding="utf-8")
    with np.load(folder / REFERENCE_FILE) as arrays:
        content = {name: arrays[name] for name in arrays.files}
    content["rec_out_1"] = np.roll(content["rec_out_1"], 1, axis=-1)
    np.savez_compressed(folder / REFERENCE_FILE, **content)
    return folder


def test_each_part_is_that_of_its_bundle(
    other: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "joined"
    assert main(["--det", str(other), "--rec", str(bundled()), "--out", str(out)]) == 0
    own, found = load_bundle(), load_bundle(out)
    assert (found.name, found.licence) == (own.name, own.licence)
    for part in ("det", "rec"):
        assert found.model(part, REFERENCE).sha256 == own.model(part, REFERENCE).sha256
    assert found.det.limit_side_len == 512 and found.rec.widths == own.rec.widths
    assert found.det.postprocess == own.det.postprocess and found.rec.charset == own.rec.charset
    assert found.precisions() == (REFERENCE,)
    assert {name: model.sha256 for name, model in found.rec.precisions.items()} == {
        name: model.sha256 for name, model in own.rec.precisions.items()
    }
    assert found.raw["rec"]["precisions"] == own.raw["rec"]["precisions"]
    for key in ("calibration", "calibration_cpu"):
        # What both networks read together was measured with another detector.
        assert "end_to_end" in own.raw[key]
        assert found.raw[key] == {k: v for k, v in own.raw[key].items() if k != "end_to_end"}
    assert found.origin["rec"] == own.origin["rec"]
    told = json.loads((out / "parity.json").read_text(encoding="utf-8"))
    assert told["passed"] is True and told["seconds"] == 1.5 and set(told["of_rec"]) == {"seconds"}
    # The proof is the recognizer's own: that of `other` would fail.
    capsys.readouterr()
    assert edge_lpr(["export", "--verify", str(out)]) == 0
    assert main(["--det", str(bundled()), "--rec", str(other), "--out", str(out), "--name", "new"]) == 0
    assert load_bundle(out).name == "new"
    assert edge_lpr(["export", "--verify", str(out)]) == 1


def test_without_a_reference_it_says_so(
    other: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (other / REFERENCE_FILE).unlink()
    assert main(["--det", str(other), "--rec", str(bundled()), "--out", str(tmp_path / "joined")]) == 0
    assert "not both bundles have what it could be verified by" in capsys.readouterr().out
    assert not (tmp_path / "joined" / REFERENCE_FILE).exists()


def test_bad_input_is_one_line_and_nothing_is_lost(
    other: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "joined"
    assert main(["--det", str(tmp_path / "no"), "--rec", str(other), "--out", str(out)]) == 2
    assert main(["--det", str(other), "--rec", str(bundled()), "--out", str(other)]) == 2
    (other / "parity.json").write_text("[]")
    assert main(["--det", str(other), "--rec", str(bundled()), "--out", str(out)]) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 3 and errors[2].startswith(f"join: {other / 'parity.json'}: holds list")
    assert load_bundle(other).name == "other" and not out.exists()
