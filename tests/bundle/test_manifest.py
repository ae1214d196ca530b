"""The bundle format: what is read, and what is refused and named."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.tiny_bundle import rec_model, write_bundle

from edge_lpr.bundle.manifest import bundled, load_bundle, portable_bundle
from edge_lpr.errors import BundleError

Change = Callable[[dict[str, Any]], None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A bundle of the real one's description with two tiny files in the models' place."""
    raw = json.loads((bundled() / "bundle.json").read_text(encoding="utf-8"))
    for part in ("det", "rec"):
        data = part.encode() * 10
        entry = raw[part]["precisions"]["fp32"]
        (tmp_path / entry["file"]).write_bytes(data)
        entry.update(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))
        raw[part]["precisions"] = {"fp32": entry}
    save(tmp_path, raw)
    return tmp_path


def save(folder: Path, raw: dict[str, Any]) -> None:
    (folder / "bundle.json").write_text(json.dumps(raw), encoding="utf-8")


def changed(folder: Path, change: Change) -> Path:
    raw = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
    change(raw)
    save(folder, raw)
    return folder


def test_the_embedded_bundle_is_whole() -> None:
    bundle = load_bundle()
    assert "fp32" in bundle.precisions()
    for model in (*bundle.det.precisions.values(), *bundle.rec.precisions.values()):
        assert len(model.read()) == model.size < 12_000_000
    assert bundle.licence == "Apache-2.0"
    assert bundle.rec.classes == 1 + len(bundle.rec.charset) + bundle.rec.unknown_class


def test_reads_files_that_are_as_promised(tmp_path: Path) -> None:
    bundle = load_bundle(write_bundle(tmp_path / "b"))
    assert bundle.model("rec", "fp32").read() == rec_model()
    assert bundle.precisions() == ("fp32",)


@pytest.mark.parametrize(
    ("data", "said"), [(b"det" * 9, "27 bytes"), (b"DET" * 10, "sha256"), (None, "cannot be read")]
)
def test_a_damaged_model_is_named(folder: Path, data: bytes | None, said: str) -> None:
    path = load_bundle(folder).model("det", "fp32").path
    path.unlink()
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(BundleError, match=said) as error:
        load_bundle(folder).model("det", "fp32").read()
    assert path.name in str(error.value)
    assert "\n" not in str(error.value)


def test_a_precision_that_is_not_there_says_how_to_make_it(folder: Path) -> None:
    with pytest.raises(BundleError, match=r"no int8 model of 'det', only fp32; .*edge-lpr calibrate"):
        load_bundle(folder).model("det", "int8")


def test_no_folder_and_no_description(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no such folder"):
        load_bundle(tmp_path / "none")
    with pytest.raises(BundleError, match=r"no bundle\.json in it; make a bundle with: edge-lpr export"):
        load_bundle(tmp_path)


@pytest.mark.parametrize("text", ["{", "[1]", '{"format": NaN}', "\x00", "[" * 100_000])
def test_what_is_no_description_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "bundle.json").write_text(text, encoding="utf-8")
    with pytest.raises(BundleError, match="not"):
        load_bundle(tmp_path)


def put(*path: str, value: object) -> Change:
    def change(raw: dict[str, Any]) -> None:
        node = raw
        for key in path[:-1]:
            node = node[key]
        node[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (put("version", value=2), "format version 2"),
        (put("det", value=[]), "det is"),
        (put("det", "input", "dtype", value="float32"), r"det\.input\.dtype"),
        (put("det", "size", "stride", value=0), r"det\.size\.stride"),
        (put("det", "size", "stride", value=True), r"det\.size\.stride"),
        (put("det", "size", "limit_type", value="long"), r"det\.size\.limit_type"),
        (put("rec", "size", "widths", value=[320, 160]), r"rec\.size\.widths"),
        (put("rec", "size", "widths", value=[1 << 20]), r"rec\.size\.widths"),
        (put("rec", "size", "resize_mode", value="crop"), r"rec\.size\.resize_mode"),
        (put("rec", "charset", value=["A", "A"]), r"rec\.charset"),
        (put("rec", "unknown_class", value=1), r"rec\.unknown_class"),
        (put("rec", "precisions", value={}), r"rec\.precisions"),
        (put("rec", "precisions", "fp8", value={}), "fp8"),
        (put("rec", "precisions", "fp32", "sha256", value="abc"), "64 hex digits"),
        (put("rec", "precisions", "fp32", "bytes", value=1 << 40), r"rec\.precisions\.fp32\.bytes"),
    ],
)
def test_a_wrong_value_is_named(folder: Path, change: Change, named: str) -> None:
    with pytest.raises(BundleError, match=named):
        load_bundle(changed(folder, change))


@pytest.mark.parametrize("name", ["../det.onnx", "/etc/passwd", "", "a/../../det.onnx", "link"])
def test_a_file_outside_the_folder_is_refused(folder: Path, name: str) -> None:
    (folder / "link").symlink_to(folder.parent / "det.onnx")
    with pytest.raises(BundleError, match="a file inside the bundle's folder"):
        load_bundle(changed(folder, put("det", "precisions", "fp32", "file", value=name)))


def test_bundles_of_the_package_are_had_by_name_and_share_a_recognizer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    own, other = load_bundle("default"), load_bundle("accurate")
    assert own.path == load_bundle().path and other.path == bundled("accurate")
    for precision, model in own.rec.precisions.items():
        same = other.model("rec", precision)
        assert (same.path.resolve(), same.sha256) == (model.path.resolve(), model.sha256)
    assert other.model("det", "fp32").read() != own.model("det", "fp32").read()
    # Other processes are told the name; of any other bundle the path.
    assert portable_bundle("accurate", tmp_path) == "accurate"
    assert portable_bundle("mine", tmp_path) == str(tmp_path / "mine")
    # A folder that is called so comes first; elsewhere what it shares is another's.
    shutil.copytree(bundled("accurate"), "accurate")
    with pytest.raises(BundleError, match=r"rec\.precisions\.fp32\.file .* inside the bundle's folder"):
        load_bundle("accurate")
    assert portable_bundle("accurate", tmp_path) == str(tmp_path / "accurate")
    with pytest.raises(BundleError, match=r"nosuch: no such folder.*: accurate, default"):
        load_bundle("nosuch")


def test_what_the_runtime_does_not_know_is_kept(folder: Path) -> None:
    bundle = load_bundle(changed(folder, put("det", "precisions", "fp32", "accuracy", value={"hmean": 0.9})))
    assert bundle.model("det", "fp32").extra["accuracy"] == {"hmean": 0.9}


def test_a_charset_of_one_character_is_refused_at_once(folder: Path) -> None:
    changed(folder, lambda raw: raw["rec"].update(charset=["A"] * 100_000))
    with pytest.raises(BundleError, match=r"rec\.charset is \['A'\], expected each character once"):
        load_bundle(folder)
