"""A backend that remembers what went through another one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from edge_lpr.backends.base import Backend
from edge_lpr.backends.wrapping import WrappedBackend

__all__ = ["RecordingBackend"]


class RecordingBackend(WrappedBackend):
    """Runs another backend, and keeps what each run took and returned; see `Backend` for the protocol.

    Args:
        backend: The backend that does the work.

    Attributes:
        inputs: What each run was given, by name.
        outputs: What each run returned, by name.
    """

    def __init__(self, backend: Backend) -> None:
        super().__init__(backend)
        self.inputs: list[dict[str, NDArray[Any]]] = []
        self.outputs: list[dict[str, NDArray[Any]]] = []

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Runs the other one; see `Backend.run`."""
        self.inputs.append(dict(inputs))
        self.outputs.append(super().run(inputs))
        return dict(self.outputs[-1])

    def clear(self) -> None:
        """Forgets all runs."""
        self.inputs.clear()
        self.outputs.clear()
