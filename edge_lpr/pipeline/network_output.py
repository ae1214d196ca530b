"""What a network returned, before anything is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_lpr.backends.base import Backend
from edge_lpr.bundle.model_file import ModelFile
from edge_lpr.errors import BackendError
from edge_lpr.precisions import REFERENCE

__all__ = ["check_finite"]


def check_finite(values: NDArray[Any], what: str, backend: Backend, files: Mapping[str, ModelFile]) -> None:
    """Sees that a network's output is finite: one that is not would read as a picture without plates.

    Args:
        values: The output.
        what: "the detector" or "the recognizer".
        backend: What ran it.
        files: The model's files by precision; see `DetSpec.precisions`.

    Raises:
        BackendError: There is a NaN or an infinity in it.
    """
    if np.isfinite(values).all():
        return
    file = files.get(backend.precision)
    model = f"{what} ({f'{file.path}, ' if file else ''}{backend.precision})"
    remedy = "make or copy the model again, or build its engine again"
    if backend.precision != REFERENCE:
        remedy = f"try --precision {REFERENCE}, or {remedy}"
    raise BackendError(
        f"{model} in {backend.name} on {backend.device} returned numbers that are not finite: an overflow of "
        f"its precision, or a damaged model or engine; {remedy}"
    )
