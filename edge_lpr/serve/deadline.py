"""One moment by which several steps, one after the other, have to be done."""

from __future__ import annotations

import time

__all__ = ["Deadline"]


class Deadline:
    """A moment of a clock that is never set.

    Args:
        seconds: From now on, or from `since`.
        since: In seconds of `time.monotonic()`.
    """

    def __init__(self, seconds: float, since: float | None = None) -> None:
        self._moment = (time.monotonic() if since is None else since) + seconds

    def left(self, reserve: float = 0.0) -> float:
        """Returns the seconds until then, 0 where it is over.

        Args:
            reserve: Seconds that belong to the steps that follow.
        """
        return max(0.0, self._moment - reserve - time.monotonic())

    @property
    def is_over(self) -> bool:
        """Whether it is over."""
        return not self.left()
