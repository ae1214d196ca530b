"""Notices work that never ends: a network that hangs in its driver gives no error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from edge_lpr.health.activity import Activity, Piece
from edge_lpr.settings import Settings, setting

__all__ = ["GIVEN_UP", "Watchdog", "WatchdogSettings"]

GIVEN_UP = 3
"""What is stuck for so many times the limit is given up."""
_LONGEST_STEP = 2.0  # seconds between two checks that count in full


@dataclass(frozen=True)
class WatchdogSettings(Settings):
    """When work counts as stuck."""

    watchdog: float = setting(
        10.0,
        "models that do not answer for so long are reported; after three times as long the run ends with "
        "exit code 1; 0: never",
        low=0,
        high=86_400,
        metavar="S",
    )


class Watchdog:
    """Looks at work again and again, from a thread of its own.

    Time in which this process itself stood still (stopped by Ctrl-Z, the machine asleep) does not count.

    Args:
        activities: The work.
        limit: Seconds after which it is reported; 0 for never.
        report: Called with one line where work is stuck, and where it goes on after all.
    """

    def __init__(self, activities: list[Activity], limit: float, report: Callable[[str], None]) -> None:
        self._activities = activities
        self._limit = limit
        self._report = report
        self._ages: dict[Piece, float] = {}
        self._late: dict[Piece, str] = {}

    @property
    def pause(self) -> float:
        """Seconds after which it should look again."""
        return self._limit / 4 if self._limit else _LONGEST_STEP

    @property
    def is_well(self) -> bool:
        """Whether nothing is stuck."""
        return not self._late

    def check(self, elapsed: float) -> str | None:
        """Looks at all work.

        Args:
            elapsed: Seconds since the last look.

        Returns:
            Who has to be given up; None where all is well enough.
        """
        if not self._limit:
            return None
        step = min(elapsed, _LONGEST_STEP)
        names = {piece: activity.name for activity in self._activities for piece in activity.pieces()}
        for piece in set(self._late) - set(names):
            self._report(f"{self._late.pop(piece)} answered after {self._ages[piece]:.0f} s")
        self._ages = {piece: self._ages.get(piece, 0.0) + step for piece in names}
        for piece, age in self._ages.items():
            if age < self._limit:
                continue
            if piece not in self._late:
                self._late[piece] = names[piece]
                self._report(
                    f"{names[piece]} have not answered for {age:.0f} s; where they do not within "
                    f"{GIVEN_UP * self._limit:g} s this run ends with exit code 1"
                )
            if age >= GIVEN_UP * self._limit:
                return names[piece]
        return None
