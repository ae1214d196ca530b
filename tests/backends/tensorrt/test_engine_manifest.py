from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.engine_manifests import H200, ORIN, PLAN, PROFILES, manifest, model

from edge_lpr.backends.tensorrt.engine_folder import read_manifests
from edge_lpr.backends.tensorrt.engine_manifest import Machine, engine_key, read_manifest
from edge_lpr.bundle.model_file import ModelFile
from edge_lpr.errors import BackendError, OutputError


def test_a_manifest_comes_back_as_written(tmp_path: Path) -> None:
    written = manifest(tmp_path / "new" / "folder", model(tmp_path))
    written.write(PLAN)
    assert read_manifest(written.path) == written
    assert written.read_engine() == PLAN
    assert sorted(p.name for p in written.path.parent.iterdir()) == ["a.det.fp16.engine", "a.det.fp16.json"]


@pytest.mark.parametrize(
    ("here", "said"),
    [
        (ORIN, []),
        (replace(ORIN, cuda="12.9", driver="570.1"), []),
        (replace(ORIN, tensorrt="10.3.1"), ["built with TensorRT 10.3.0, here is 10.3.1"]),
        (replace(ORIN, gpu="Orin Nano"), ["built for the GPU Orin (8.7), here is Orin Nano (8.7)"]),
        (replace(ORIN, compute_capability="8.9"), ["built for the GPU Orin (8.7), here is Orin (8.9)"]),
        (
            H200,
            [
                "built for the GPU Orin (8.7), here is NVIDIA H200 (9.0)",
                "built for aarch64, here is x86_64",
            ],
        ),
    ],
)
def test_what_differs_from_this_machine(tmp_path: Path, here: Machine, said: list[str]) -> None:
    of = model(tmp_path)
    assert manifest(tmp_path, of).differences(of, here) == said


def test_another_model_differs(tmp_path: Path) -> None:
    old = manifest(tmp_path, model(tmp_path, b"old"))
    (difference,) = old.differences(model(tmp_path, b"new"), ORIN)
    assert difference.startswith("made from another det.fp16.onnx (sha256 ")
    assert old.differences(None, ORIN) == []


@pytest.mark.parametrize(
    ("built", "here", "fits"),
    [
        ("10.3.0", "10.3.0", True),
        ("10.3.0", "10.13.0", True),
        ("10.13.0", "10.3.0", False),
        ("8.6.1", "10.3.0", False),
    ],
)
def test_version_compatible_engines_run_on_later_minors(
    tmp_path: Path, built: str, here: str, fits: bool
) -> None:
    of = model(tmp_path)
    engine = manifest(tmp_path, of, replace(ORIN, tensorrt=built), flags={"version_compatible": True})
    assert (engine.differences(of, replace(ORIN, tensorrt=here)) == []) is fits


@pytest.mark.parametrize(("capability", "fits"), [("8.0", True), ("12.0", True), ("7.5", False)])
def test_hardware_compatible_engines_run_since_ampere(tmp_path: Path, capability: str, fits: bool) -> None:
    of = model(tmp_path)
    engine = manifest(tmp_path, of, H200, flags={"hardware_compatible": True})
    other = replace(H200, gpu="other", compute_capability=capability)
    assert (engine.differences(of, other) == []) is fits
    assert engine.differences(of, replace(other, integrated=True)) != []


def test_every_part_of_the_key_matters(tmp_path: Path) -> None:
    of = model(tmp_path)
    other_profile = (replace(PROFILES[0], opt=(1, 736, 1312, 3)),)
    keys = {
        engine_key(of, ORIN, PROFILES, {}),
        engine_key(model(tmp_path, b"other"), ORIN, PROFILES, {}),
        engine_key(of, replace(ORIN, tensorrt="10.4.0"), PROFILES, {}),
        engine_key(of, replace(ORIN, gpu="Thor"), PROFILES, {}),
        engine_key(of, replace(ORIN, compute_capability="9.0"), PROFILES, {}),
        engine_key(of, replace(ORIN, platform="x86_64"), PROFILES, {}),
        engine_key(of, ORIN, other_profile, {}),
        engine_key(of, ORIN, PROFILES, {"tf32": True}),
    }
    assert len(keys) == 8
    # A driver update is no reason to build again.
    assert engine_key(of, replace(ORIN, driver="1", cuda="13.0"), PROFILES, {}) in keys


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda p: p.write_bytes(PLAN[:-1]), "has 5 bytes, its manifest says 6"),
        (lambda p: p.write_bytes(b"swappd"), "is not the file that its manifest describes"),
        (lambda p: p.unlink(), "cannot be read (No such file"),
    ],
)
def test_a_damaged_engine_is_refused_before_tensorrt_sees_it(tmp_path: Path, harm: Any, said: str) -> None:
    written = manifest(tmp_path, model(tmp_path))
    written.write(PLAN)
    harm(written.engine_path)
    with pytest.raises(BackendError, match="build it again: edge-lpr build") as e:
        written.read_engine()
    assert said in str(e.value)


def _changed(key: str, value: object) -> Any:
    def change(raw: dict[str, Any]) -> None:
        *path, last = key.split(".")
        node = raw
        for part in path:
            node = node[part]
        if value is None:
            del node[last]
        else:
            node[last] = value

    return change


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("format", "other", "not an engine's manifest"),
        ("version", 2, "manifest version 2, this edge-lpr reads 1"),
        ("engine", None, "damaged manifest"),
        ("engine.bytes", 1 << 60, "damaged manifest"),
        ("engine.bytes", "6", "damaged manifest"),
        ("engine.sha256", 5, "damaged manifest"),
        ("machine.gpu", None, "damaged manifest"),
        ("machine", [], "damaged manifest"),
        ("profiles", [{"min": "x", "opt": [1], "max": [1]}], "damaged manifest"),
        ("profiles", [{"min": [1.5], "opt": [1], "max": [1]}], "damaged manifest"),
        ("build.seconds", "soon", "damaged manifest"),
        ("bundle", "x" * 2000, "damaged manifest"),
    ],
)
def test_a_manifest_from_others_is_checked(tmp_path: Path, key: str, value: object, said: str) -> None:
    written = manifest(tmp_path, model(tmp_path))
    written.write(PLAN)
    raw = json.loads(written.path.read_text(encoding="utf-8"))
    _changed(key, value)(raw)
    written.path.write_text(json.dumps(raw), encoding="utf-8")
    with pytest.raises(BackendError) as e:
        read_manifest(written.path)
    assert said in str(e.value) and "\n" not in str(e.value)
    manifests, broken = read_manifests(tmp_path)
    assert not manifests and set(broken) == {written.path}


@pytest.mark.parametrize("data", [b"", b"{", b"[1]", b"\xff\xfe", b"[" * 100_000, b" " * (2 << 20)])
def test_no_manifest_at_all(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(data)
    with pytest.raises(BackendError, match=r"x.json: "):
        read_manifest(path)


def test_a_build_that_cannot_be_written_leaves_what_it_made_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = manifest(tmp_path / "engines", model(tmp_path))

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OutputError, match=r"cannot be written .No space left on device") as caught:
        written.write(PLAN)
    (part,) = written.path.parent.iterdir()
    assert part.suffix == ".part" and part.name in str(caught.value)
    assert part.read_bytes() == PLAN


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="cannot be written"):
        manifest(tmp_path / "engines", ModelFile(tmp_path / "m", "0" * 64, 1, "fp16", {})).write(PLAN)
