"""The best plate of a CTC posterior without a search, wherever the posterior leaves no other.

The texts' probabilities add up to no more than the posterior's whole mass, which is 1 but for rounding. So
when the text of the best class at each step is a plate, and its own probability, over all its alignments, is
more than half of that, no other text has as much. It is what `PositionAutomaton.search` finds, too: the path
of the best classes is the best path there is, so it is the best one of each format that takes it, and the
likelihoods then decide for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_lpr.pipeline.constrained_ctc import sure_blanks
from edge_lpr.pipeline.ctc_likelihood import BLANK
from edge_lpr.types import LogProbs, Probs

__all__ = ["GreedyShortcut", "PlatePath"]

# More than half of the mass, and no likelihood of the search is as far from the truth as this, relatively:
# those are sums of float32 logarithms.
_HALF = np.log(0.5) + 1e-3


@dataclass(frozen=True)
class PlatePath:
    """A string of a format, and where in the posterior it stands.

    Attributes:
        format: The format's index.
        classes: The string's classes.
        steps: For each of them the step at which it is most probable.
        log_likelihood: Natural logarithm of its probability; from the shortcut no more than that.
        leaves_out: Whether the posterior may show characters that the string leaves out.
    """

    format: int
    classes: list[int]
    steps: list[int]
    log_likelihood: float
    leaves_out: bool


class GreedyShortcut:
    """Takes the text of the best classes where it is a plate and nothing else can be.

    Args:
        formats: For each format, for each of its positions, the classes that may stand there.
        twins: Pairs of classes that are one glyph, whose probabilities the posterior gives to both.
        classes: Number of classes of the posterior, the blank being class 0.
    """

    def __init__(
        self, formats: Sequence[Sequence[Sequence[int]]], twins: Sequence[Sequence[int]], classes: int
    ) -> None:
        longest = max(map(len, formats), default=0)
        glyph = np.arange(classes)
        for keep, drop in twins:
            glyph[drop] = keep
        self._dropped = [drop for _, drop in twins]
        # For each format, position and glyph the class that it is there; -1 where it may not stand.
        self._class_at = np.full((len(formats), longest, classes), -1, np.int64)
        self._by_length = [
            np.array([f for f, sets in enumerate(formats) if len(sets) == n], np.int64)
            for n in range(longest + 1)
        ]
        # Glyphs that may be read in two ways, so that the strings of formats have more than the whole mass:
        # as either of two classes, or as one of each that follow one another without a blank between.
        self._ambiguous = np.zeros((longest, classes), bool)
        for f, sets in enumerate(formats):
            for k, allowed in enumerate(sets):
                self._class_at[f, k, glyph[allowed]] = allowed
                following = sets[k + 1] if k + 1 < len(sets) else []
                for pair in twins:
                    here, there = set(pair) & set(allowed), set(pair) & set(following)
                    self._ambiguous[k, pair[0]] |= len(here) > 1 or bool(here and there and here != there)

    def find(self, probs: Probs, logs: LogProbs) -> PlatePath | None:
        """Finds the plate that `PositionAutomaton.search` and the likelihoods would, or gives it up.

        Args:
            probs: float32 T×C, twins sharing their probabilities.
            logs: float32 T×C, their natural logarithms.

        Returns:
            The plate; None where the search is needed.
        """
        glyphs = logs.copy()
        glyphs[:, self._dropped] = -np.inf
        every = np.arange(len(glyphs))
        best = glyphs.argmax(axis=1)
        top = glyphs[every, best]
        starts = np.flatnonzero(np.append(True, best[1:] != best[:-1]))
        characters = np.flatnonzero(best[starts] != BLANK)
        read = best[starts][characters]
        plate = self._plate(read)
        if plate is None:
            return None
        # Two paths that are as good but for rounding are the search's to choose between.
        glyphs[every, best] = -np.inf
        path = float(top.sum(dtype=np.float64))
        rounding = 4 * len(top) * np.finfo(np.float32).eps * (1 - path)
        if (top - glyphs.max(axis=1)).min() <= rounding:
            return None
        masses = probs.sum(axis=1, dtype=np.float64) - probs[:, self._dropped].sum(axis=1, dtype=np.float64)
        needed = float(np.log(np.maximum(masses, 1.0)).sum()) + _HALF
        likelihood = path if path > needed else _log_likelihood_at_least(probs, logs, read)
        if likelihood <= needed:
            return None
        ends = np.append(starts[1:], len(best))
        steps = [
            int(start + top[start:end].argmax())
            for start, end in zip(starts[characters], ends[characters], strict=True)
        ]
        return PlatePath(*plate, steps, likelihood, leaves_out=False)

    def _plate(self, read: NDArray[np.int64]) -> tuple[int, list[int]] | None:
        """Returns the first format that takes the glyphs, and the classes that they are there."""
        if len(read) >= len(self._by_length) or not len(read):
            return None
        positions = np.arange(len(read))
        if self._ambiguous[positions, read].any():
            return None
        formats = self._by_length[len(read)]
        classes = self._class_at[formats[:, None], positions, read]
        fitting = np.flatnonzero((classes >= 0).all(axis=1))
        return (int(formats[fitting[0]]), classes[fitting[0]].tolist()) if len(fitting) else None


def _log_likelihood_at_least(probs: Probs, logs: LogProbs, classes: NDArray[np.int64]) -> float:
    """Returns no more than the logarithm of a text's probability: where blanks are sure, they are blanks."""
    sure = sure_blanks(logs)
    after = np.append(False, sure[:-1])
    in_run = sure & (after | np.append(sure[1:], False))
    kept = ~(sure & after)
    extended = np.full(2 * len(classes) + 1, BLANK)
    extended[1::2] = classes
    emit = probs[:, extended].astype(np.float64)
    emit[in_run, 1::2] = 0.0
    skip = np.zeros(len(extended))
    skip[3::2] = classes[1:] != classes[:-1]
    alpha = np.zeros(len(extended) + 2)
    alpha[2] = 1.0  # before the first step nothing is read, as after a blank
    for step in emit[kept]:
        reached = alpha[2:] + alpha[1:-1]
        reached += skip * alpha[:-2]
        reached *= step
        alpha[2:] = reached
    whole = max(float(alpha[-1] + alpha[-2]), np.finfo(np.float64).tiny)
    return float(np.log(whole) + np.log(emit[~kept, 0]).sum())
