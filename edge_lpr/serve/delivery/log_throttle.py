"""Lines about one thing that are not written again and again."""

from __future__ import annotations

__all__ = ["LogThrottle"]

_AGAIN = 60.0  # seconds between two lines about the same


class LogThrottle:
    """What was said lately: the same is not said again within a minute."""

    def __init__(self) -> None:
        self._times: dict[str, float] = {}

    def may_say(self, what: str, now: float) -> bool:
        """Whether something is to be said now; then it was.

        Args:
            what: What it is about.
            now: `time.monotonic()`.
        """
        self._times = {one: when for one, when in self._times.items() if now < when + _AGAIN}
        return self._times.setdefault(what, now) == now
