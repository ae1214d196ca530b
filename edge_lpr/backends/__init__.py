"""Inference backends: one small protocol, one module each, and the choice between them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from edge_lpr.backends.base import Backend
from edge_lpr.backends.onnxruntime import OnnxRuntimeBackend
from edge_lpr.backends.tensorrt.cuda import has_driver
from edge_lpr.bundle.manifest import Bundle, ModelFile
from edge_lpr.errors import BackendError, EdgeLprError, SettingError

if TYPE_CHECKING:
    from edge_lpr.backends.tensorrt.backend import TensorRTBackend

B = TypeVar("B", bound=Backend)

BACKENDS = ("auto", "onnxruntime", "tensorrt")
RUN_SETTINGS = ("slots", "graphs", "mapped")
# What precision "auto" takes of the engines that are there. FP16 reads as FP32 does; INT8 is faster still and
# costs accuracy, which is for the user to choose.
TENSORRT_PRECISIONS = ("fp16", "int8", "fp32")
CPU_PRECISION = "fp32"

__all__ = ["BACKENDS", "Backend", "OpenModels", "open_backend", "open_models"]


@dataclass(frozen=True)
class OpenModels:
    """Detector and recognizer, opened in one backend and one precision.

    Attributes:
        det: The detector.
        rec: The recognizer.
        why: One line: what runs where, and why not in something faster.
    """

    det: Backend
    rec: Backend
    why: str


def open_models(
    bundle: Bundle,
    *,
    backend: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    engines: str | Path | None = None,
    tensorrt: Mapping[str, Any] | None = None,
) -> OpenModels:
    """Opens both models of a bundle in the best backend that this machine has, or in the one asked for.

    "auto" takes TensorRT where there are engines for both models that fit this machine, else ONNX Runtime, on
    the GPU where it can use it, else on the CPU.

    Args:
        bundle: The bundle.
        backend: "auto", "onnxruntime" or "tensorrt".
        precision: "fp32", "fp16", "int8", or "auto": FP32 in ONNX Runtime; in TensorRT the first of fp16,
            int8 and fp32 that has engines.
        threads: Threads for a backend that runs on the CPU; None is one per core.
        engines: The folder of TensorRT engines; None is `engine_file.engines_folder()`.
        tensorrt: `slots`, `graphs` and `mapped` of `TensorRTBackend` that differ from their defaults.

    Raises:
        SettingError: No such backend or setting, no such folder, or a folder of engines for ONNX Runtime.
        BundleError: The bundle lacks the precision.
        MissingExtraError: A package that the backend needs is not installed.
        BackendError: The backend asked for cannot run here.
    """
    _check(backend, engines)
    settings = _run_settings(tensorrt or {})
    refusal = ""
    if backend == "auto" and not has_driver():
        refusal = "no NVIDIA driver here"
    elif backend != "onnxruntime":
        try:
            return _open_tensorrt(bundle, precision, engines, settings)
        except EdgeLprError as e:
            if backend == "tensorrt":
                raise
            refusal = str(e)
    chosen = CPU_PRECISION if precision == "auto" else precision
    det, rec = _pair(bundle, chosen, lambda model: OnnxRuntimeBackend(model, threads=threads))
    why = f"ONNX Runtime on {det.device}, {chosen}"
    if det.fell_back:
        why += "; its CUDA could not start (edge-lpr doctor tells more)"
    return OpenModels(det, rec, f"{why} ({refusal})" if refusal else why)


def open_backend(
    model: ModelFile,
    *,
    backend: str = "auto",
    threads: int | None = None,
    engines: str | Path | None = None,
) -> Backend:
    """Opens one model in the best backend that this machine has, or in the one asked for.

    Args:
        model: The model file.
        backend: "auto", "onnxruntime" or "tensorrt".
        threads: Threads for a backend that runs on the CPU; None is one per core.
        engines: The folder of TensorRT engines; None is `engine_file.engines_folder()`.

    Raises:
        SettingError: No such backend, no such folder, or a folder of engines for ONNX Runtime.
        MissingExtraError: A package that the backend needs is not installed.
        BackendError: The backend asked for cannot run here.
    """
    _check(backend, engines)
    if backend != "onnxruntime":
        try:
            return _tensorrt(model, engines)
        except EdgeLprError:
            if backend == "tensorrt":
                raise
    return OnnxRuntimeBackend(model, threads=threads)


def _check(backend: str, engines: str | Path | None) -> None:
    if backend not in BACKENDS:
        raise SettingError(f"backend {backend!r}: expected one of {', '.join(BACKENDS)}")
    if engines is None:
        return
    if backend == "onnxruntime":
        raise SettingError(
            f"engines {engines}: they are TensorRT's, and the backend is onnxruntime; leave one out"
        )
    if not Path(engines).is_dir():
        raise SettingError(f"engines {engines}: no such folder; make it with edge-lpr build --out {engines}")


def _run_settings(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    unknown = sorted(set(settings) - set(RUN_SETTINGS))
    if unknown:
        raise SettingError(f"no TensorRT setting {unknown[0]!r}; there are {', '.join(RUN_SETTINGS)}")
    return settings


def _open_tensorrt(
    bundle: Bundle, precision: str, engines: str | Path | None, settings: Mapping[str, Any]
) -> OpenModels:
    candidates = [p for p in TENSORRT_PRECISIONS if p in bundle.precisions()]
    first: EdgeLprError | None = None
    for candidate in candidates if precision == "auto" else [precision]:
        try:
            det, rec = _pair(bundle, candidate, lambda model: _tensorrt(model, engines, **settings))
        except EdgeLprError as e:
            first = first or e
        else:
            return OpenModels(det, rec, f"TensorRT {det.version} on {det.device}, {candidate}")
    raise first or BackendError(f"{bundle.path}: its models share no precision; export the bundle again")


def _pair(bundle: Bundle, precision: str, opener: Callable[[ModelFile], B]) -> tuple[B, B]:
    det = opener(bundle.model("det", precision))
    try:
        return det, opener(bundle.model("rec", precision))
    except BaseException:
        det.close()
        raise


def _tensorrt(
    model: ModelFile,
    engines: str | Path | None,
    **settings: Any,  # noqa: ANN401 (checked by name)
) -> TensorRTBackend:
    # Not at the top: the Jetson's half of the kit is no part of what a CPU machine has to import.
    from edge_lpr.backends.tensorrt.backend import TensorRTBackend

    return TensorRTBackend(model, folder=engines, **settings)
