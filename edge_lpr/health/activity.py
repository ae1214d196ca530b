"""Work in hand, and since when: what a watchdog looks at."""

from __future__ import annotations

import threading
import time
from types import TracebackType

__all__ = ["Activity", "Piece"]

Piece = tuple[int, float]
"""One piece of work: the thread that is at it, and when it began, in seconds of the monotonic clock."""


class Activity:
    """One kind of work; a context manager around each piece of it, in as many threads as are at it at once.

    Args:
        name: What messages call who does the work: "the models".
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._began: dict[int, float] = {}

    def __enter__(self) -> Activity:
        self._began[threading.get_ident()] = time.monotonic()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        del self._began[threading.get_ident()]

    def pieces(self) -> list[Piece]:
        """Returns what is in hand."""
        return list(self._began.items())

    @property
    def seconds(self) -> float:
        """For how long the oldest piece has been in hand, in seconds; 0 where none is."""
        return max((time.monotonic() - began for _, began in self.pieces()), default=0.0)
