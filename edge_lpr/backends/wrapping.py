"""What is put around a backend to watch it, or to stand in for some of its work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from edge_lpr.backends.base import Backend

__all__ = ["WrappedBackend"]


class WrappedBackend:
    """A backend that passes everything on to another one; see `Backend` for the protocol.

    Args:
        backend: The backend that does the work. Its description is copied as it is now.
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.name, self.precision, self.device = backend.name, backend.precision, backend.device
        self.max_batch, self.sizes = backend.max_batch, backend.sizes
        self.preferred_batch, self.concurrency = backend.preferred_batch, backend.concurrency

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Runs the other one; see `Backend.run`."""
        return self.backend.run(inputs)

    def close(self) -> None:
        """Closes the other one."""
        self.backend.close()
