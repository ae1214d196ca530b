"""How long to wait before what failed is tried again."""

from __future__ import annotations

import math

__all__ = ["backoff"]

_DOUBLINGS = 30  # beyond which nobody waits, and a float would overflow one day


def backoff(failures: int, first: float, most: float = math.inf) -> float:
    """Returns the seconds to wait after so many failures in a row: twice as long after each one.

    Args:
        failures: 1 or more.
        first: Seconds after the first failure.
        most: The longest pause, in seconds.
    """
    return min(most, first * 2.0 ** min(failures - 1, _DOUBLINGS))
