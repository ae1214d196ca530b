"""Statistics of paired results: is a difference on some hundred plates more than chance?"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from rapidfuzz.distance import Editops, Hamming, Levenshtein
from scipy.special import bdtr, betaincinv

__all__ = [
    "CONFIDENCE",
    "QUANTILES",
    "Paired",
    "compare_pairs",
    "confusions",
    "items_needed",
    "mcnemar",
    "paired_interval",
    "percentiles",
]

CONFIDENCE = 0.95
QUANTILES = ("p50", "p90", "p99")
# Beyond so many items nobody counts.
_MOST_ITEMS = 10_000_000


@dataclass(frozen=True)
class Paired:
    """Two results on the same items.

    Attributes:
        items: Items that both have.
        lost: Right in the first, wrong in the second.
        won: Wrong in the first, right in the second.
        difference: Share right in the second minus share right in the first.
        low: Lower end of the difference's 95 % confidence interval.
        high: Its upper end.
        p_value: Of McNemar's exact test that neither is better.
    """

    items: int
    lost: int
    won: int
    difference: float
    low: float
    high: float
    p_value: float


def compare_pairs(first: Mapping[str, bool], second: Mapping[str, bool]) -> Paired:
    """Compares what was right in two results; nothing is known of no items: their interval is -1 to 1.

    Args:
        first: Whether each item was right, by name.
        second: The same for the other; items that only one has are left out.
    """
    names = [name for name in first if name in second]
    lost = sum(first[name] and not second[name] for name in names)
    won = sum(second[name] and not first[name] for name in names)
    if not names:
        return Paired(0, 0, 0, 0.0, -1.0, 1.0, 1.0)
    low, high = paired_interval(lost, won, len(names))
    difference = (won - lost) / len(names)
    return Paired(len(names), lost, won, difference, low, high, mcnemar(lost, won))


def paired_interval(lost: int, won: int, items: int) -> tuple[float, float]:
    """Returns the 95 % confidence interval of a paired difference, -1 to 1.

    The exact intervals (C. Clopper, E. Pearson 1934) of the shares lost and won are put together by what they
    allow on either side (G. Zou, A. Donner, "Construction of confidence limits about effect measures", 2008).
    So it is as wide as few items make it, also where none was lost and none won.

    Args:
        lost: Items right in the first result alone.
        won: Items right in the second alone.
        items: All items, 1 or more.
    """
    (lost_low, lost_share, lost_high), (won_low, won_share, won_high) = (
        _share(count, items) for count in (lost, won)
    )
    # Of the two shares, which add up to 1 with a third.
    odds = math.prod(share / (1 - share) if share < 1 else 0.0 for share in (lost_share, won_share))
    difference, correlation = won_share - lost_share, -math.sqrt(odds)
    low = difference - _together(won_share - won_low, lost_high - lost_share, correlation)
    high = difference + _together(won_high - won_share, lost_share - lost_low, correlation)
    return max(-1.0, low), min(1.0, high)


def _share(count: int, items: int) -> tuple[float, float, float]:
    """A share with its exact interval: lower end, share, upper end."""
    tail = (1 - CONFIDENCE) / 2
    # The tails of the binomial distribution are those of the beta distribution.
    low = float(betaincinv(count, items - count + 1, tail)) if count else 0.0
    high = float(betaincinv(count + 1, items - count, 1 - tail)) if count < items else 1.0
    return low, count / items, high


def _together(one: float, other: float, correlation: float) -> float:
    return math.sqrt(max(0.0, one**2 + other**2 - 2 * correlation * one * other))


def items_needed(loss: float, lost: int = 0, won: int = 0, items: int = 1) -> int | None:
    """Returns how many items rule a loss out, at 95 % confidence and where as few are lost as so far.

    Args:
        loss: The loss that the interval must not reach, as a share, 0 to 1.
        lost: Items lost so far; none where the least number at all is asked for.
        won: Items won so far.
        items: All items so far.

    Returns:
        The least such number; None where no number would do, since as much is lost already.
    """

    def suffice(number: int) -> bool:
        # Rounded to the worse side.
        scaled = (math.ceil(lost * number / items), won * number // items)
        return -paired_interval(*scaled, number)[0] <= loss

    high = 1
    while not suffice(high):
        high *= 2
        if high > _MOST_ITEMS:
            return None
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if suffice(middle) else (middle, high)
    return high


def mcnemar(lost: int, won: int) -> float:
    """Returns the two-sided p-value of McNemar's exact test: the discordant pairs against a fair coin."""
    return min(1.0, 2 * float(bdtr(min(lost, won), lost + won, 0.5)))


def percentiles(seconds: Sequence[float]) -> dict[str, float]:
    """Returns p50, p90 and p99 of some durations, in milliseconds."""
    if not seconds:
        return {}
    values = np.percentile(np.asarray(seconds) * 1000, [50, 90, 99])
    return {name: round(float(value), 3) for name, value in zip(QUANTILES, values, strict=True)}


def confusions(pairs: Iterable[tuple[str, str]]) -> Counter[tuple[str, str]]:
    """Counts which character is read as which, along the shortest edit of each text.

    Args:
        pairs: Truth and text.

    Returns:
        Counts by (true, read) character; "" stands for none: a character left out, or put in.
    """
    counts: Counter[tuple[str, str]] = Counter()
    for truth, text in pairs:
        counts.update(
            (
                "" if edit.tag == "insert" else truth[edit.src_pos],
                "" if edit.tag == "delete" else text[edit.dest_pos],
            )
            for edit in _edits(truth, text)
        )
    return counts


def _edits(truth: str, text: str) -> Editops:
    """The shortest edit; of several, one of replacements alone: a misread character keeps its place."""
    if len(truth) == len(text) and Hamming.distance(truth, text) == Levenshtein.distance(truth, text):
        return Hamming.editops(truth, text)
    return Levenshtein.editops(truth, text)
