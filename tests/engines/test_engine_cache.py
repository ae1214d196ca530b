from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from edge_lpr.backends.tensorrt.engine_manifest import EngineManifest, Machine
from edge_lpr.bundle.manifest import Bundle, bundled, load_bundle
from edge_lpr.engines import engine_cache
from edge_lpr.engines.build import build_jobs, make_manifest
from edge_lpr.engines.build_settings import BuildSettings

ORIN = Machine("10.3.0", "Orin", "8.7", integrated=True, platform="aarch64")
H200 = Machine("10.3.0", "NVIDIA H200", "9.0", platform="x86_64")


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    if not (bundled() / "bundle.json").is_file():
        pytest.skip("needs the default bundle")
    return load_bundle()


@pytest.fixture
def folder(bundle: Bundle, tmp_path: Path) -> Path:
    """An engine in every state that there is."""
    det, rec = build_jobs(bundle, ("fp32",), BuildSettings())
    (smaller, _) = build_jobs(bundle, ("fp32",), BuildSettings(batches=(1,)))

    def add(manifest: EngineManifest, created: str, data: bytes = b"plan") -> EngineManifest:
        manifest = replace(manifest, created=created)
        manifest.write(data)
        return manifest

    add(make_manifest(det, ORIN, tmp_path, b"plan", 1), "2026-05-01")
    add(make_manifest(smaller, ORIN, tmp_path, b"plan", 1), "2026-04-01")
    add(make_manifest(rec, ORIN, tmp_path, b"plan", 1), "2026-03-01")
    add(make_manifest(rec, H200, tmp_path, b"plan", 1), "2026-02-01")
    old = make_manifest(rec, ORIN, tmp_path, b"plan", 1)
    add(replace(old, path=tmp_path / "old.json", model_sha256="0" * 64), "2026-01-01")
    cut = make_manifest(rec, replace(ORIN, tensorrt="8.6.1"), tmp_path, b"plan", 1)
    add(replace(cut, path=tmp_path / "cut.json"), "2025-12-01", b"pla")
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")
    (tmp_path / "alone.engine").write_bytes(b"plan")
    (tmp_path / ".x.engine.1.part").write_bytes(b"pl")
    (tmp_path / "timing.orin.trt10.3.0.cache").write_bytes(b"cache")
    return tmp_path


def states(found: list[engine_cache.Entry]) -> list[str]:
    return [entry.state for entry in found]


def test_every_state_is_told(folder: Path, bundle: Bundle) -> None:
    found = engine_cache.entries(folder, ORIN, bundle)
    assert states(found) == [
        "valid",
        "superseded",
        "valid",
        "foreign",
        "stale",
        "damaged",
        "damaged",
        "damaged",
        "damaged",
    ]
    assert found[3].reason == (
        "built for the GPU NVIDIA H200 (9.0), here is Orin (8.7); built for x86_64, here is aarch64"
    )
    assert "made from another rec.fp32.onnx" in found[4].reason
    assert "has 3 bytes, its manifest says 4" in found[5].reason
    assert all(entry.reason for entry in found if entry.state != "valid")


def test_without_a_bundle_the_machine_alone_decides(folder: Path) -> None:
    assert states(engine_cache.entries(folder, ORIN))[:5] == [
        "valid",
        "superseded",
        "valid",
        "foreign",
        "valid",
    ]


def test_without_a_gpu_nothing_is_called_valid(folder: Path, bundle: Bundle) -> None:
    found = engine_cache.entries(folder, None, bundle)
    assert states(found)[:6] == ["unchecked", "unchecked", "unchecked", "unchecked", "stale", "damaged"]
    assert found[0].reason == "no GPU here to compare with"


def test_prune_takes_what_it_is_told_and_nothing_else(folder: Path, bundle: Bundle) -> None:
    before = engine_cache.entries(folder, ORIN, bundle)
    removed = engine_cache.prune(before, [engine_cache.DAMAGED, engine_cache.STALE, engine_cache.SUPERSEDED])
    assert len(removed) == 6
    assert states(engine_cache.entries(folder, ORIN, bundle)) == ["valid", "valid", "foreign"]
    assert (folder / "timing.orin.trt10.3.0.cache").exists()
    assert len(list(folder.glob("*.engine"))) == len(list(folder.glob("*.json"))) == 3
    assert not list(folder.glob(".*.part"))


def test_no_folder_is_no_engines(tmp_path: Path) -> None:
    assert engine_cache.entries(tmp_path / "none", ORIN) == []
