"""Statistics of paired results: is a difference on some hundred plates more than chance?"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from rapidfuzz.distance import Editops, Hamming, Levenshtein

RESAMPLES = 2000
QUANTILES = ("p50", "p90", "p99")


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


def compare_pairs(first: Mapping[str, bool], second: Mapping[str, bool], seed: int = 0) -> Paired:
    """Compares what was right in two results.

    The interval is the percentile bootstrap's over items (B. Efron, R. Tibshirani, "An Introduction to the
    Bootstrap", 1993, chapter 13), with 2,000 resamples.

    Args:
        first: Whether each item was right, by name.
        second: The same for the other; items that only one has are left out.
        seed: Of the resampling.
    """
    names = [name for name in first if name in second]
    change = np.array([int(second[name]) - int(first[name]) for name in names])
    lost, won = int((change < 0).sum()), int((change > 0).sum())
    if not names:
        return Paired(0, 0, 0, 0.0, 0.0, 0.0, 1.0)
    rng = np.random.default_rng(seed)
    # Items are only lost, won or unchanged: a resample is three counts.
    shares = np.array([lost, won, len(names) - lost - won]) / len(names)
    counts = rng.multinomial(len(names), shares, RESAMPLES)
    low, high = np.quantile((counts[:, 1] - counts[:, 0]) / len(names), [0.025, 0.975])
    return Paired(len(names), lost, won, float(change.mean()), float(low), float(high), mcnemar(lost, won))


def mcnemar(lost: int, won: int) -> float:
    """Returns the two-sided p-value of McNemar's exact test: the discordant pairs against a fair coin."""
    total = lost + won
    tail: float = sum(math.comb(total, k) for k in range(min(lost, won) + 1)) / 2**total
    return min(1.0, 2 * tail)


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
