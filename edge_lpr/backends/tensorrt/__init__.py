"""TensorRT through pycuda.

Only this module is imported where no engine is used: the Jetson's half of the kit is no part of what a CPU
machine has to import.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_lpr.backends.base import (
    AUTO,
    BACKENDS,
    DEVICE,
    THREADS,
    Backend,
    BackendKind,
    BackendOption,
    Models,
    open_both,
)
from edge_lpr.backends.tensorrt.cuda import has_driver
from edge_lpr.bundle.manifest import Bundle
from edge_lpr.bundle.model_file import ModelFile
from edge_lpr.devices import check_device
from edge_lpr.errors import BackendError, EdgeLprError, SettingError
from edge_lpr.precisions import PRECISIONS, engine_precisions
from edge_lpr.types import Size

if TYPE_CHECKING:
    from edge_lpr.backends.tensorrt.backend import TensorRTBackend

_OPTIONS = (
    BackendOption(
        "engines",
        "--engines",
        {"metavar": "DIR", "help": "TensorRT engines (default: where edge-lpr build puts them)"},
    ),
    BackendOption(
        "graphs",
        "--no-cuda-graphs",
        {
            "action": "store_const",
            "const": False,
            "help": "TensorRT: launch each kernel by itself",
        },
    ),
    BackendOption(
        "mapped",
        "--gpu-memory",
        {
            "choices": ("mapped", "copied"),
            "help": "TensorRT: work on the host's memory, or on copies (default: mapped on a Jetson, else "
            "copied)",
        },
    ),
    BackendOption("slots"),
    DEVICE,
    THREADS,
)


def _absence() -> str:
    return "" if has_driver() else "no NVIDIA driver here"


def _check(options: Mapping[str, Any]) -> None:
    check_device(options.get(DEVICE.name))
    engines = options.get("engines")
    if engines is not None and not Path(engines).is_dir():
        raise SettingError(
            f"engines {engines}: no such folder; create it with edge-lpr build --out {engines}"
        )


def _open(bundle: Bundle, precision: str, options: Mapping[str, Any]) -> Models:
    """Opens the engines of a precision; for "auto", of the best one that has engines of both models."""
    settings = {name: value for name, value in options.items() if name not in ("engines", THREADS.name)}
    if bundle.verify_key is not None:
        settings["verify_key"] = bundle.verify_key
    if settings.get("mapped") in ("mapped", "copied"):  # as the command says it
        settings["mapped"] = settings["mapped"] == "mapped"
    there = [name for name in bundle.precisions() if name in engine_precisions()]
    held = [p for p in sorted(PRECISIONS, key=lambda p: p.engine_rank) if p.name in there]
    first: EdgeLprError | None = None
    for candidate in [p.name for p in held] if precision == AUTO else [precision]:
        try:
            det, rec = open_both(
                bundle, candidate, lambda model: _open_engine(model, options.get("engines"), **settings)
            )
        except EdgeLprError as e:
            first = first or e
        else:
            version = getattr(det, "version", "")
            frames, told = _open_frames(det, bundle.model("det", candidate), options.get("engines"), settings)
            return Models(det, rec, f"TensorRT {version} on {det.device}, {candidate}{told}", frames)
    raise first or BackendError(f"{bundle.path}: its models share no precision; export the bundle again")


def _open_frames(
    det: Backend, model: ModelFile, folder: str | Path | None, settings: Mapping[str, Any]
) -> tuple[dict[tuple[Size, Size], Backend], str]:
    """Opens the detector's engines that resize whole frames; returns them, and what to say of them."""
    from edge_lpr.backends.tensorrt.backend import TensorRTBackend
    from edge_lpr.backends.tensorrt.engine_folder import engines_folder, find_frame_engines

    if not isinstance(det, TensorRTBackend):
        return {}, ""
    found = find_frame_engines(engines_folder(folder), model, det.machine, settings.get("verify_key"))
    opened: dict[tuple[Size, Size], Backend] = {}
    told = ""
    for sizes, manifest in found.items():
        (height, width), _ = sizes
        try:
            opened[sizes] = TensorRTBackend(model, folder=folder, manifest=manifest, **settings)
        except BackendError as e:  # the host resizes, as it does for frames of every other size
            told += f" (no room to resize frames of {width}x{height} there: {e})"
        else:
            told += f", frames of {width}x{height} resized there"
    return opened, told


def _open_engine(model: ModelFile, folder: str | Path | None, **settings: Any) -> TensorRTBackend:  # noqa: ANN401
    from edge_lpr.backends.tensorrt.backend import TensorRTBackend

    return TensorRTBackend(model, folder=folder, **settings)


BACKENDS.register(
    BackendKind(
        name="tensorrt",
        rank=10,
        open=_open,
        absence=_absence,
        options=_OPTIONS,
        check=_check,
        picks_precision=True,
        readiness="edge_lpr.engines.readiness",
    )
)
