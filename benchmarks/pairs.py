"""Times that were measured side by side, and how they compare."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

__all__ = ["ratio"]


def ratio(taken: Sequence[float], beside: Sequence[float]) -> float:
    """Returns the median of one's times over another's, pair by pair: what else the machine did met both.

    Args:
        taken: Times of the one, in any unit.
        beside: Those of the other, of the same work in the same order.
    """
    return median(a / max(b, 1e-6) for a, b in zip(taken, beside, strict=True))
