"""When a failed delivery is tried again."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from edge_lpr.backoff import backoff
from edge_lpr.serve.delivery.items import DeliveryError
from edge_lpr.serve.delivery.log_throttle import LogThrottle

__all__ = ["RetryState", "pause_after"]

_FIRST_PAUSE = 1.0  # seconds
_LOOK_AGAIN = 60.0  # seconds after which an output is looked at whatever is known of it
_HOUR = 3600.0
_LONE = 2  # passages that may fail in a row before it is the receiver that fails


def pause_after(failures: int, most: float, chance: random.Random) -> float:
    """Returns the seconds to wait after so many failures in a row.

    A part of it is left to chance: many that lost the same receiver do not come back to it all at once.

    Args:
        failures: 1 or more.
        most: The longest pause, in seconds.
        chance: Where chance comes from.

    Returns:
        Between half of what `backoff` says and all of it.
    """
    return backoff(failures, _FIRST_PAUSE, most) * chance.uniform(0.5, 1.0)


@dataclass
class RetryState:
    """An output's failures, as this process has seen them: after a start all is tried at once.

    Attributes:
        chance: Where chance comes from.
        until: When the output may be tried again, in seconds of `time.monotonic()`.
        reason: Why the last try failed; "" where it did not.
        beside: What is wrong with it though no event may wait: a folder that is not there.
        said: What was said of it.
        taken: Numbers of the items that were delivered while the disk could not be told.
    """

    chance: random.Random
    until: float = 0.0
    reason: str = ""
    beside: str = ""
    taken: set[int] = field(default_factory=set)
    _streak: int = 0
    _passages: dict[str, tuple[int, float]] = field(default_factory=dict)  # failures, and until when
    _since: set[str] = field(default_factory=set)  # passages that failed since something was taken
    said: LogThrottle = field(default_factory=LogThrottle)

    @property
    def told(self) -> str:
        """What is wrong with it; "" where nothing is."""
        return self.reason or self.beside

    def holds(self, passage: str, now: float) -> bool:
        """Whether a passage has to wait for its next try."""
        return self._passages.get(passage, (0, 0.0))[1] > now

    def next_time(self, now: float) -> float:
        """Returns the seconds until something that failed may be tried again; a minute where nothing did."""
        times = [self.until] if self.until > now else [until for _, until in self._passages.values()]
        # One that is over was of a passage that waits no more: what a full queue had no room for.
        return min(min((time for time in times if time > now), default=now + _LOOK_AGAIN) - now, _LOOK_AGAIN)

    def over(self, passage: str) -> bool:
        """Has a passage go on, as something of it was taken; returns whether the output was failing."""
        was = bool(self.reason)
        self.forget(passage)
        self.until, self.reason, self._streak = 0.0, "", 0
        self._since.clear()
        return was

    def anew(self) -> None:
        """Has all be tried at once: the output has other settings."""
        # Others, not emptied: who delivers may be looking at them.
        self.until, self._streak, self._passages, self._since = 0.0, 0, {}, set()

    def forget(self, passage: str) -> None:
        """Forgets what failed of a passage."""
        self._passages.pop(passage, None)

    def failed(self, passage: str, error: DeliveryError, most: float, now: float) -> float:
        """Notes a failure.

        Args:
            passage: Whose.
            error: What failed.
            most: The longest pause, in seconds, but for one that the receiver asks for.
            now: `time.monotonic()`.

        Returns:
            Seconds until it is tried again.
        """
        self.reason = error.reason
        pause = 0.0
        if error.whole:
            self._streak += 1
            pause = max(min(error.after, 10 * most), pause_after(self._streak, most, self.chance))
            self.until = now + pause
            return pause
        self._passages = {
            one: (n, until) for one, (n, until) in self._passages.items() if until > now - _HOUR
        }
        failures = self._passages.get(passage, (0, 0.0))[0] + 1
        pause = max(min(error.after, 10 * most), pause_after(failures, most, self.chance))
        self._passages[passage] = (failures, now + pause)
        # A receiver that takes none of several is as good as one that does not answer.
        self._since.add(passage)
        if len(self._since) > _LONE:
            self.until = now + pause_after(len(self._since) - _LONE, most, self.chance)
        return pause
