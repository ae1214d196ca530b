"""The clock on the wall, which may be set at any time, beside the one that only runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timezone

__all__ = ["ClockWatch", "is_step", "iso", "parse_iso", "utc"]

# Clocks drift apart, and NTP slews one by up to 500 ppm; what is beyond that is a step. Seconds, and a share.
_STEP, _SLEW = 0.5, 1e-3


def is_step(difference: float, seconds: float) -> bool:
    """Tells whether clocks that went apart by `difference` within so many seconds show that one was set."""
    return abs(difference) > _STEP + _SLEW * seconds


def utc(wall: float) -> datetime:
    """Returns a moment in seconds since the epoch as time of day, UTC."""
    return datetime.fromtimestamp(wall, timezone.utc)


def iso(moment: datetime) -> str:
    """Writes a time of day as ISO 8601, to the millisecond: "2026-11-22T18:15:02.250Z"."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_iso(text: str) -> datetime:
    """Reads a time of day as `iso` writes it.

    Raises:
        ValueError: It is written otherwise.
    """
    return datetime.fromisoformat(text.replace("Z", "+00:00"))  # Python 3.10 does not know Z


class ClockWatch:
    """Notices that the clock was set.

    Args:
        wall: Returns seconds since the epoch.
        running: Returns seconds of a clock that is never set, and that goes on while the machine sleeps.
    """

    def __init__(
        self, wall: Callable[[], float] = time.time, running: Callable[[], float] | None = None
    ) -> None:
        self._wall = wall
        self._running = running or _running
        self._seen = self._wall(), self._running()

    def step(self) -> float | None:
        """Returns by how many seconds the clock was set since the last call (back: below 0), or None."""
        before, self._seen = self._seen, (self._wall(), self._running())
        seconds = self._seen[1] - before[1]
        step = self._seen[0] - before[0] - seconds
        return step if is_step(step, max(0.0, seconds)) else None


def _running() -> float:
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)
