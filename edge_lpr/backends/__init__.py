"""Inference backends: one small protocol, one module each."""

from __future__ import annotations

from edge_lpr.backends.base import Backend
from edge_lpr.backends.onnxruntime import OnnxRuntimeBackend
from edge_lpr.bundle import ModelFile
from edge_lpr.errors import SettingError

BACKENDS = ("auto", "onnxruntime", "tensorrt")

__all__ = ["BACKENDS", "Backend", "open_backend"]


def open_backend(model: ModelFile, *, backend: str = "auto", threads: int | None = None) -> Backend:
    """Opens one model in the best backend that this machine has, or in the one asked for.

    Args:
        model: The model file.
        backend: "auto", "onnxruntime" or "tensorrt".
        threads: Threads for a backend that runs on the CPU; None is one per core.

    Raises:
        SettingError: No such backend.
        BackendError: The backend asked for cannot run here.
    """
    if backend not in BACKENDS:
        raise SettingError(f"backend {backend!r}: expected one of {', '.join(BACKENDS)}")
    return OnnxRuntimeBackend(model, threads=threads)
