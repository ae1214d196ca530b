"""Bundles are written whole or not at all."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import onnx_models as models

from edge_lpr.bundle.manifest import load_bundle
from edge_lpr.bundle.writer import BundleParts, NewModel, add_precisions, create_bundle
from edge_lpr.errors import BundleError, OutputError
from edge_lpr.export.bundle_graph import det_model, rec_model


@pytest.fixture(scope="module")
def parts() -> BundleParts:
    return BundleParts(
        name="tiny",
        licence="MIT",
        origin={"made": "for a test"},
        det=det_model(models.small_det()).SerializeToString(),
        rec=rec_model(models.small_rec(5)).SerializeToString(),
        charset="京AB1",
        unknown_class=False,
        det_arch="PP-OCRv3 det",
        rec_arch="PP-OCRv3 rec (CTC)",
        rec_height=48,
        rec_widths=(320, 160),
    )


def test_what_is_written_is_what_the_runtime_reads(tmp_path: Path, parts: BundleParts) -> None:
    bundle = create_bundle(parts, tmp_path / "new" / "b", {"parity.json": b"hello"})
    assert bundle.path == tmp_path / "new" / "b"
    assert (bundle.name, bundle.licence) == ("tiny", "MIT")
    assert bundle.rec.charset == ("京", "A", "B", "1")
    assert bundle.rec.widths == (160, 320)
    assert bundle.model("rec", "fp32").extra == {}
    assert bundle.model("det", "fp32").read() == parts.det
    assert bundle.model("rec", "fp32").read() == parts.rec
    assert sorted(p.name for p in bundle.path.iterdir()) == [
        "bundle.json", "det.fp32.onnx", "parity.json", "rec.fp32.onnx",
    ]  # fmt: skip
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["b"]


def test_an_older_bundle_is_replaced_whole(tmp_path: Path, parts: BundleParts) -> None:
    create_bundle(parts, tmp_path / "b", {"parity.json": b""})
    assert create_bundle(replace(parts, name="newer"), tmp_path / "b").name == "newer"
    assert not (tmp_path / "b" / "parity.json").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["b"]


def test_the_signature_goes_with_the_bundle_that_was_signed(tmp_path: Path, parts: BundleParts) -> None:
    create_bundle(parts, tmp_path / "b")
    (tmp_path / "b" / "bundle.json.minisig").touch()
    create_bundle(replace(parts, name="newer"), tmp_path / "b")
    assert not list((tmp_path / "b").glob("*.minisig"))


def test_a_bundle_that_fails_leaves_the_older_one(tmp_path: Path, parts: BundleParts) -> None:
    create_bundle(parts, tmp_path / "b")
    with pytest.raises(BundleError, match="each character once"):
        create_bundle(replace(parts, charset="AAB1"), tmp_path / "b")
    assert load_bundle(tmp_path / "b").name == "tiny"
    assert [p.name for p in tmp_path.iterdir()] == ["b"]


def test_folders_and_files_of_others_are_left_alone(tmp_path: Path, parts: BundleParts) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"x")
    with pytest.raises(OutputError, match="not empty and no bundle"):
        create_bundle(parts, tmp_path / "photos")
    assert [p.name for p in (tmp_path / "photos").iterdir()] == ["a.jpg"]
    with pytest.raises(OutputError, match="a file"):
        create_bundle(parts, tmp_path / "photos" / "a.jpg")
    with pytest.raises(OutputError, match="cannot be"):
        create_bundle(parts, tmp_path / "photos" / "a.jpg" / "b")
    create_bundle(parts, tmp_path / "b")
    (tmp_path / "b" / "notes.txt").touch()
    with pytest.raises(OutputError, match=r"b: would be replaced as a whole, and holds notes\.txt, which"):
        create_bundle(parts, tmp_path / "b")
    assert (tmp_path / "b" / "notes.txt").exists()
    (tmp_path / "empty").mkdir()
    assert create_bundle(parts, tmp_path / "empty").name == "tiny"


def test_a_precision_is_added_and_replaced(tmp_path: Path, parts: BundleParts) -> None:
    # The same model, told apart by its description (field 6 of the ONNX file).
    first, second, other = parts.det + b"2\x011", parts.det + b"2\x012", parts.rec + b"2\x013"
    bundle = create_bundle(parts, tmp_path / "b")
    add_precisions(bundle, {("det", "int8"): NewModel(first, {"accuracy": 0.5})}, {"seed": 1})
    added = load_bundle(bundle.path)
    assert added.model("det", "int8").read() == first
    assert added.model("det", "int8").extra == {"accuracy": 0.5}
    assert added.raw["calibration"] == {"seed": 1}
    assert added.model("det", "fp32").read() == parts.det

    add_precisions(added, {("det", "int8"): NewModel(second, {}), ("rec", "int8"): NewModel(other, {})}, {})
    replaced = load_bundle(bundle.path)
    assert replaced.model("det", "int8").read() == second
    assert replaced.model("det", "int8").extra == {}
    assert replaced.precisions() == ("fp32", "int8")
    assert len(list(bundle.path.glob("*.onnx"))) == 4  # the replaced file is gone

    # What a bundle has already is not written again.
    before = {path: path.stat().st_mtime_ns for path in bundle.path.glob("*.onnx")}
    add_precisions(replaced, {("det", "int8"): NewModel(second, {"layers": 3})}, {})
    assert {path: path.stat().st_mtime_ns for path in bundle.path.glob("*.onnx")} == before
    assert load_bundle(bundle.path).model("det", "int8").extra == {"layers": 3}


def test_a_bundle_is_one_json_text_however_it_was_written(tmp_path: Path, parts: BundleParts) -> None:
    bundle = create_bundle(parts, tmp_path / "b")
    before = (bundle.path / "bundle.json").read_text(encoding="utf-8")
    add_precisions(bundle, {}, {})
    after = (bundle.path / "bundle.json").read_text(encoding="utf-8")
    assert "京" in before
    assert after == json.dumps(bundle.raw, ensure_ascii=False, indent=1) + "\n"
    assert after == before


def test_writing_needs_no_onnx() -> None:
    code = "import sys, edge_lpr.bundle.writer; sys.exit('onnx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
