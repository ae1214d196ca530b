"""Waiting for what a test asserts: on a slow machine for as long as that takes, and never for a sleep."""

from __future__ import annotations

import time
from collections.abc import Callable

from edge_lpr.io.frames import Frame
from edge_lpr.io.live_source import LiveSource

__all__ = ["LONG", "read_until", "take", "wait_until"]

LONG = 180.0
"""Seconds after which something counts as hanging, however busy the machine is."""


def wait_until(done: Callable[[], object], pause: float = 0.02) -> None:
    """Waits until a condition holds; fails where it does not within `LONG`.

    Args:
        done: The condition: all that the test goes on to assert.
        pause: Seconds between two looks.
    """
    until = time.monotonic() + LONG
    while not done():
        assert time.monotonic() < until, f"not within {LONG:g} s"
        time.sleep(pause)


def read_until(source: LiveSource, done: Callable[[], object], frames: list[Frame] | None = None) -> None:
    """Reads a live source until a condition holds; fails where the source ends, or not within `LONG`.

    That it was lost, and the line about it, come one after the other: wait for both where both are asserted.

    Args:
        source: The source.
        done: The condition.
        frames: Takes what is read.
    """

    def look() -> bool:
        frame = source.read(0.05)
        if frame is not None and frames is not None:
            frames.append(frame)
        held = bool(done())
        assert held or not source.ended, "the source has ended"
        return held

    wait_until(look, 0)


def take(source: LiveSource, count: int = 1) -> list[Frame]:
    """Reads so many frames of a live source."""
    frames: list[Frame] = []
    read_until(source, lambda: len(frames) >= count, frames)
    return frames
