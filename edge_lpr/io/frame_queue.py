"""Frames that wait for their reader, in memory shared with the process that decoded them."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import Literal

from edge_lpr.io.camera_process import CameraProcess
from edge_lpr.types import Image

__all__ = ["LOST", "FrameQueue", "Lost", "WaitingFrame"]

Lost = Literal["lost"]
LOST: Lost = "lost"
"""Stands in the queue between what came before a loss of the source and what came after."""


@dataclass(frozen=True, eq=False)
class WaitingFrame:
    """A frame in shared memory.

    Attributes:
        process: The process that decoded it.
        slot: Where it lies there.
        image: uint8 H×W×3 BGR, good until `free`.
        index: See `Frame`.
        time: See `Frame`.
        wall: See `Frame`.
    """

    process: CameraProcess
    slot: int
    image: Image
    index: int
    time: float
    wall: float | None

    def free(self) -> None:
        """Gives its place back."""
        self.process.free(self.slot)


class FrameQueue:
    """From the thread that follows a source to the one that reads it.

    Attributes:
        passed_over: Frames that were given up for a newer one.
    """

    def __init__(self) -> None:
        self.passed_over = 0
        self._items: deque[WaitingFrame | Lost] = deque()
        self._changed = threading.Condition()
        self._ended = False

    def put(self, item: WaitingFrame | Lost, *, newest: bool = False) -> None:
        """Adds a frame or a loss.

        Args:
            item: It.
            newest: Whether it takes the place of the frame that waits.
        """
        with self._changed:
            while newest and self._items and not isinstance(old := self._items[-1], str):
                self.passed_over += 1
                self._items.pop()
                old.free()
            self._items.append(item)
            self._changed.notify_all()

    def take(self, wait: float) -> WaitingFrame | Lost | None:
        """Takes the oldest; None where nothing came in `wait` seconds, or nothing will."""
        with self._changed:
            if not self._items and not self._ended and wait > 0:
                self._changed.wait(wait)
            return self._items.popleft() if self._items else None

    def end(self) -> None:
        """Says that nothing more will be added."""
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def clear(self) -> None:
        """Drops what waits."""
        with self._changed:
            self._items.clear()

    @property
    def ended(self) -> bool:
        """Whether nothing waits and nothing more will."""
        return self._ended and not self._items
