"""Whether a video is read as fast as it plays, and what to type where it is not."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from edge_lpr.console.text import duration
from edge_lpr.io.frames import Frame, Source

__all__ = ["Pace"]

_LOOK_SECONDS = 4.0  # of reading, after which the speed is known
_FRAMES = 10  # at least: the first ones wake models and caches
_ENOUGH = 0.9  # of the speed at which it plays


class Pace:
    """Says once, as soon as it is known, that a video is read slower than it plays.

    Args:
        source: The video.
        stride: Every stride-th frame of it is read.
        clock: Gives seconds.
    """

    def __init__(self, source: Source, stride: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._stride = stride
        self._clock = clock
        self._first: tuple[float, float] | None = None
        self._frames = 0
        self._done = source.live or source.is_image

    def note(self, frame: Frame) -> str | None:
        """Takes in that a frame was read; returns what is to be said of it, at most once."""
        if self._done or frame.time is None:
            return None
        now = self._clock()
        if self._first is None:
            self._first = (now, frame.time)
            return None
        self._frames += 1
        spent, played = now - self._first[0], frame.time - self._first[1]
        if spent < _LOOK_SECONDS or self._frames < _FRAMES:
            return None
        self._done = True
        speed = played / spent
        if speed >= _ENOUGH:
            return None
        stride = max(self._stride + 1, math.ceil(_ENOUGH * self._stride / max(speed, 0.001)))
        return (
            f"{self._source.label}: is read {1 / max(speed, 0.001):.1f} times slower than it plays"
            f"{self._left(spent)}; --stride {stride} reads one frame of {stride} and keeps up"
        )

    def _left(self, spent: float) -> str:
        total = self._source.total
        if not total or total <= self._frames:
            return ""
        return f", and takes about {duration(spent / self._frames * (total - self._frames))} more"
