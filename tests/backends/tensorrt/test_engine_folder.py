from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from helpers.engine_manifests import H200, ORIN, PLAN, manifest, model

from edge_lpr.backends.tensorrt.engine_folder import FOLDER_VARIABLE, engines_folder, find_engine
from edge_lpr.errors import BackendError


def test_the_newest_engine_that_fits_is_found(tmp_path: Path) -> None:
    of = model(tmp_path)
    folder = tmp_path / "engines"
    for name, created, machine in (
        ("a", "2026-01-01", ORIN),
        ("b", "2026-03-01", ORIN),
        ("c", "2026-05-01", H200),
    ):
        manifest(folder, of, machine, path=folder / f"{name}.json", created=created).write(PLAN)
    assert find_engine(folder, of, ORIN).path.name == "b.json"
    assert find_engine(folder, of, H200).path.name == "c.json"
    (folder / "b.engine").write_bytes(b"cut")
    assert find_engine(folder, of, ORIN).path.name == "a.json"


def test_no_engine_says_what_to_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    of = model(tmp_path)
    said = r"no engine of det.fp16.onnx in .*; build it: edge-lpr build .* --precision fp16"
    with pytest.raises(BackendError, match=rf"{said} --out .*none$"):
        find_engine(tmp_path / "none", of, ORIN)
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "usual"))
    with pytest.raises(BackendError, match=f"{said}$"):
        find_engine(engines_folder(), of, ORIN)


def test_the_nearest_engine_says_why_it_does_not_fit(tmp_path: Path) -> None:
    folder = tmp_path / "engines"
    manifest(folder, model(tmp_path, b"old"), H200).write(PLAN)
    of = model(tmp_path, b"new")
    with pytest.raises(BackendError) as e:
        find_engine(folder, of, ORIN)
    assert "made from another det.fp16.onnx" in str(e.value)
    manifest(folder, of, replace(ORIN, tensorrt="8.6.1"), path=folder / "b.json").write(PLAN)
    with pytest.raises(
        BackendError, match=r"b.engine: built with TensorRT 8.6.1, here is 10.3.0; build it"
    ) as e:
        find_engine(folder, of, ORIN)
    assert "\n" not in str(e.value)


def test_where_engines_lie(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in (FOLDER_VARIABLE, "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert engines_folder() == tmp_path / ".cache" / "edge-lpr" / "engines"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert engines_folder() == tmp_path / ".cache" / "edge-lpr" / "engines"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "c"))
    assert engines_folder() == tmp_path / "c" / "edge-lpr" / "engines"
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "e"))
    assert engines_folder() == tmp_path / "e"
    assert engines_folder(tmp_path / "x") == tmp_path / "x"
