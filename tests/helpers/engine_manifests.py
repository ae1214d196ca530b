"""Manifests of engines that nobody built, for two machines."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge_lpr.backends.tensorrt.engine_manifest import EngineManifest, Machine, engine_key
from edge_lpr.backends.tensorrt.profile import Profile
from edge_lpr.bundle.model_file import ModelFile

ORIN = Machine("10.3.0", "Orin", "8.7", integrated=True, platform="aarch64", cuda="12.6", driver="540.4.0")
H200 = Machine("10.3.0", "NVIDIA H200", "9.0", platform="x86_64")
PLAN = b"a plan"
PROFILES = (Profile((1, 736, 1312, 3), (8, 736, 1312, 3), (8, 736, 1312, 3)),)


def model(tmp_path: Path, data: bytes = b"onnx", precision: str = "fp16") -> ModelFile:
    path = tmp_path / f"det.{precision}.onnx"
    path.write_bytes(data)
    return ModelFile(path, hashlib.sha256(data).hexdigest(), len(data), precision, {})


def manifest(folder: Path, of: ModelFile, machine: Machine = ORIN, **changes: Any) -> EngineManifest:
    made = EngineManifest(
        path=folder / "a.det.fp16.json",
        key=engine_key(of, machine, PROFILES, {}),
        bundle="a",
        part="det",
        model_file=of.path.name,
        model_sha256=of.sha256,
        precision=of.precision,
        calibration="",
        machine=machine,
        profiles=PROFILES,
        flags={},
        engine_sha256=hashlib.sha256(PLAN).hexdigest(),
        engine_bytes=len(PLAN),
        created="2026-11-22T12:00:00+00:00",
        seconds=214.6,
        tool="edge-lpr 0.1.0",
    )
    return replace(made, **changes)
