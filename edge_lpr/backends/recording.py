"""A backend that remembers what went through another one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from edge_lpr.backends.base import Backend

__all__ = ["RecordingBackend"]


class RecordingBackend:
    """Runs another backend, and keeps what each run took and gave; see `Backend` for the protocol.

    Args:
        backend: The backend that does the work.

    Attributes:
        inputs: What each run was given, by name.
        outputs: What each run gave, by name.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.name, self.precision, self.device = backend.name, backend.precision, backend.device
        self.max_batch, self.sizes = backend.max_batch, backend.sizes
        self.preferred_batch, self.concurrency = backend.preferred_batch, backend.concurrency
        self.inputs: list[dict[str, NDArray[Any]]] = []
        self.outputs: list[dict[str, NDArray[Any]]] = []

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Runs the other one; see `Backend.run`."""
        self.inputs.append(dict(inputs))
        self.outputs.append(self._backend.run(inputs))
        return dict(self.outputs[-1])

    def close(self) -> None:
        """Closes the other one."""
        self._backend.close()
