"""Engine files and the manifests beside them: what an engine was built from, and whether it fits here.

An engine is a pair of files: `NAME.engine` (TensorRT's plan) and `NAME.json`, its manifest, version 1::

    {
      "format": "edge-lpr-engine", "version": 1, "key": "…sha256 of all that decides the plan…",
      "bundle": "ppocrv3-general", "part": "det",
      "model": {"file": "det.fp16.onnx", "sha256": "…", "precision": "fp16", "calibration": "…"},
      "machine": {"tensorrt": "10.3.0", "gpu": "Orin", "compute_capability": "8.7", "integrated": true,
                  "platform": "aarch64", "cuda": "12.6", "driver": "540.4.0"},
      "profiles": [{"min": [1, 736, 1312, 3], "opt": [1, 736, 1312, 3], "max": [1, 736, 1312, 3]}],
      "flags": {…the build's settings…},
      "engine": {"sha256": "…", "bytes": 5300000},
      "build": {"created": "2026-11-22T12:00:00+00:00", "seconds": 214.6, "tool": "edge-lpr 0.1.0"}
    }

The manifest is written last, so a pair is there wholly or not at all, and is checked before TensorRT sees a
byte of the plan. A plan is a program: load only engines that were built on machines that you trust, or that
are signed (`edge_lpr.signatures`).
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from edge_lpr.backends.tensorrt.profile import Profile, Shape
from edge_lpr.bundle.model_file import ModelFile
from edge_lpr.errors import BackendError, SignatureError, one_line
from edge_lpr.io.atomic_io import create_folder, write_bytes, write_json
from edge_lpr.io.bounded_io import read_bounded
from edge_lpr.io.plain_data import parse_json
from edge_lpr.signatures import PublicKey, drop_signature
from edge_lpr.types import Size

FORMAT = "edge-lpr-engine"
VERSION = 1
ENGINE = ".engine"
MANIFEST = ".json"
_FRAME = "frame"
MAX_MANIFEST_BYTES = 1 << 20
MAX_ENGINE_BYTES = 4 << 30
# AMPERE_PLUS, the hardware compatibility that all supported versions have, begins with this capability.
AMPERE = (8, 0)


@dataclass(frozen=True)
class Machine:
    """What an engine is built on, and tied to.

    Attributes:
        tensorrt: TensorRT's version.
        gpu: The GPU's name.
        compute_capability: The GPU's compute capability, "8.7".
        integrated: Whether it is a Jetson's GPU or the like.
        platform: The CPU's architecture, "x86_64" or "aarch64".
        cuda: The newest CUDA that the driver supports; recorded, an engine outlives a driver update.
        driver: The kernel driver's version; recorded only.
    """

    tensorrt: str
    gpu: str
    compute_capability: str
    integrated: bool = False
    platform: str = field(default_factory=platform.machine)
    cuda: str = ""
    driver: str = ""

    @property
    def identity(self) -> dict[str, str]:
        """What of this an engine is tied to."""
        return {
            "tensorrt": self.tensorrt,
            "gpu": self.gpu,
            "compute_capability": self.compute_capability,
            "platform": self.platform,
        }

    def __str__(self) -> str:
        return f"TensorRT {self.tensorrt} on {self.gpu} ({self.compute_capability}, {self.platform})"


@dataclass(frozen=True)
class EngineManifest:
    """A manifest as read or about to be written; see the module for the meaning of each part.

    `verified` tells whether its signature was asked for, and found good.
    """

    path: Path
    key: str
    bundle: str
    part: str
    model_file: str
    model_sha256: str
    precision: str
    calibration: str
    machine: Machine
    profiles: tuple[Profile, ...]
    flags: Mapping[str, Any]
    engine_sha256: str
    engine_bytes: int
    created: str
    seconds: float
    tool: str
    verified: bool = False

    @property
    def frame(self) -> tuple[Size, Size] | None:
        """Of an engine that resizes whole frames, their height and width and those of the network's input."""
        sides = self.flags.get(_FRAME)
        if not isinstance(sides, list) or len(sides) != 4 or any(type(side) is not int for side in sides):
            return None
        return (sides[0], sides[1]), (sides[2], sides[3])

    @property
    def engine_path(self) -> Path:
        """The engine's file: never named by the manifest, so it cannot lie elsewhere."""
        return self.path.with_suffix(ENGINE)

    def to_json(self) -> dict[str, Any]:
        """Returns the manifest as it is written."""
        return {
            "format": FORMAT,
            "version": VERSION,
            "key": self.key,
            "bundle": self.bundle,
            "part": self.part,
            "model": {
                "file": self.model_file,
                "sha256": self.model_sha256,
                "precision": self.precision,
                "calibration": self.calibration,
            },
            "machine": asdict(self.machine),
            "profiles": [asdict(p) for p in self.profiles],
            "flags": dict(self.flags),
            "engine": {"sha256": self.engine_sha256, "bytes": self.engine_bytes},
            "build": {"created": self.created, "seconds": self.seconds, "tool": self.tool},
        }

    def differences(self, model: ModelFile | None, machine: Machine) -> list[str]:
        """Tells in what this engine does not fit.

        Args:
            model: The model that is to run; None looks at the machine alone.
            machine: The machine that is to run it.

        Returns:
            One clause per difference; none where the engine can be loaded.
        """
        built = self.machine
        found = []
        if model is not None and model.sha256 != self.model_sha256:
            found.append(
                f"made from another {self.model_file} (sha256 {self.model_sha256[:12]}…, "
                f"the bundle's is {model.sha256[:12]}…)"
            )
        if not self._runs_with(machine.tensorrt):
            found.append(f"built with TensorRT {built.tensorrt}, here is {machine.tensorrt}")
        if not self._runs_on(machine):
            found.append(
                f"built for the GPU {built.gpu} ({built.compute_capability}), "
                f"here is {machine.gpu} ({machine.compute_capability})"
            )
        if built.platform != machine.platform:
            found.append(f"built for {built.platform}, here is {machine.platform}")
        return found

    def _runs_with(self, tensorrt: str) -> bool:
        if self.flags.get("version_compatible"):
            # TensorRT promises this within a major version, from the version of the build onwards.
            built, here = _numbers(self.machine.tensorrt), _numbers(tensorrt)
            return built[:1] == here[:1] and built <= here
        return tensorrt == self.machine.tensorrt

    def _runs_on(self, machine: Machine) -> bool:
        if self.flags.get("hardware_compatible"):
            return not machine.integrated and _numbers(machine.compute_capability) >= AMPERE
        built = self.machine
        return (built.gpu, built.compute_capability) == (machine.gpu, machine.compute_capability)

    def damage(self) -> str:
        """Compares the engine's file with what the manifest says, by length alone; empty where it agrees."""
        try:
            found = self.engine_path.stat().st_size
        except OSError as e:
            return f"the engine cannot be read ({e.strerror or e})"
        if found != self.engine_bytes:
            return f"the engine has {found} bytes, its manifest says {self.engine_bytes}"
        return ""

    def read_engine(self) -> bytes:
        """Reads the plan and checks its length and sha256.

        Raises:
            BackendError: It is missing, cut short or swapped.
            SignatureError: It is so, and the manifest's signature was asked for.
        """
        damage = self.damage()
        if not damage:
            data = read_bounded(self.engine_path, self.engine_bytes, "an engine", BackendError)
            if hashlib.sha256(data).hexdigest() == self.engine_sha256:
                return data
            damage = f"{self.engine_path.name} is not the file that its manifest describes (sha256 differs)"
        raise (SignatureError if self.verified else BackendError)(
            f"{self.engine_path}: {damage}; build it again: edge-lpr build BUNDLE "
            f"--precision {self.precision} --rebuild always --out {self.path.parent}"
        )

    def write(self, plan: bytes | memoryview) -> None:
        """Writes engine and manifest, each aside and then renamed, the manifest last.

        Raises:
            OutputError: The folder cannot be written.
        """
        create_folder(self.path.parent)
        drop_signature(self.path)
        write_bytes(self.engine_path, plan)
        write_json(self.path, self.to_json())


def frame_flag(frame: tuple[Size, Size] | None) -> dict[str, Any]:
    """Returns what a manifest's flags say of `EngineManifest.frame`."""
    return {} if frame is None else {_FRAME: [*frame[0], *frame[1]]}


def engine_key(
    model: ModelFile, machine: Machine, profiles: Iterable[Profile], flags: Mapping[str, Any]
) -> str:
    """Returns the sha256 of all that decides a plan: model, machine, profiles and settings."""
    parts = {
        "model": model.sha256,
        "machine": machine.identity,
        "profiles": [asdict(p) for p in profiles],
        "flags": dict(flags),
    }
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def read_manifest(path: Path, verify_key: PublicKey | None = None) -> EngineManifest:
    """Reads and checks one manifest.

    Args:
        path: The manifest.
        verify_key: The key that it has to be signed with; None asks for no signature.

    Raises:
        SignatureError: It is not signed by that key, or is not what was signed.
        BackendError: Not a manifest, damaged, or of a newer format.
    """
    data = read_bounded(path, MAX_MANIFEST_BYTES, "an engine's manifest", BackendError)
    if verify_key is not None:
        verify_key.check(path, data)
    raw = parse_json(data, str(path), BackendError, remedy="; build the engine again")
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise BackendError(f'{path}: not an engine\'s manifest (no "format": "{FORMAT}")')
    if raw.get("version") != VERSION:
        raise BackendError(
            f"{path}: manifest version {str(raw.get('version'))[:20]}, this edge-lpr reads {VERSION}; "
            "build the engine again"
        )
    try:
        return replace(_manifest(path, raw), verified=verify_key is not None)
    except (KeyError, TypeError, ValueError) as e:
        reason = one_line(e, 120, named=True)
        raise BackendError(f"{path}: damaged manifest ({reason}); build the engine again") from e


def _manifest(path: Path, raw: dict[str, Any]) -> EngineManifest:
    def text(node: dict[str, Any], key: str) -> str:
        if not isinstance(node[key], str) or len(node[key]) > 1000:
            raise ValueError(f"{key} must be a text")
        value: str = node[key]
        return value

    def number(node: dict[str, Any], key: str) -> float:
        if isinstance(node[key], bool) or not isinstance(node[key], (int, float)):
            raise TypeError(f"{key} must be a number")
        return float(node[key])

    def shape(values: object) -> Shape:
        sizes = values if isinstance(values, list) and len(values) == 4 else [None]
        if any(type(v) is not int or not 1 <= v <= 1 << 20 for v in sizes):
            raise ValueError("a profile's shape must be four integers from 1")
        return tuple(sizes)

    model, machine, engine, build = (raw[key] for key in ("model", "machine", "engine", "build"))
    size = engine["bytes"]
    if type(size) is not int or not 0 < size <= MAX_ENGINE_BYTES:
        raise ValueError(f"an engine of {size!r} bytes")
    if not isinstance(raw["flags"], dict) or not isinstance(raw["profiles"], list):
        raise TypeError("flags or profiles")
    return EngineManifest(
        path=path,
        key=text(raw, "key"),
        bundle=text(raw, "bundle"),
        part=text(raw, "part"),
        model_file=text(model, "file"),
        model_sha256=text(model, "sha256"),
        precision=text(model, "precision"),
        calibration=text(model, "calibration"),
        machine=Machine(
            integrated=machine["integrated"] is True,
            **{
                key: text(machine, key)
                for key in ("tensorrt", "gpu", "compute_capability", "platform", "cuda", "driver")
            },
        ),
        profiles=tuple(Profile(shape(p["min"]), shape(p["opt"]), shape(p["max"])) for p in raw["profiles"]),
        flags=raw["flags"],
        engine_sha256=text(engine, "sha256"),
        engine_bytes=size,
        created=text(build, "created"),
        seconds=number(build, "seconds"),
        tool=text(build, "tool"),
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isascii() and part.isdigit())
