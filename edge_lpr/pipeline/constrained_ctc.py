"""The best string of each plate format in a CTC posterior: a Viterbi search over a position automaton."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge_lpr.pipeline.ctc_likelihood import BLANK
from edge_lpr.types import LogProbs

__all__ = ["PositionAutomaton", "sure_blanks"]

# A step in a run of such sure blanks adds nothing: half of a padded crop is of this kind.
_SURE_BLANK = np.log(np.float32(0.9999))
# A class that is nowhere more likely than this can be no character of a plate worth reporting.
_RARE = np.log(np.float32(1e-4))
_NEVER = np.float32(-1e9)


def sure_blanks(logs: LogProbs) -> NDArray[np.bool_]:
    """Tells of each step whether nothing but a blank can be there: bool T for float32 T×C logarithms."""
    sure: NDArray[np.bool_] = logs[:, BLANK] > _SURE_BLANK
    return sure


class PositionAutomaton:
    """Searches the most probable alignment whose every position holds a character that is allowed there.

    The states are "k characters read, the last of them c" and "k characters read, a blank since". All
    formats are searched at once.

    Args:
        formats: For each format, for each of its positions, the classes that may stand there.
        classes: Number of classes of the posterior, the blank being class 0.
    """

    def __init__(self, formats: Sequence[Sequence[Sequence[int]]], classes: int) -> None:
        self._lengths = np.array([len(sets) for sets in formats], np.int64)
        # What is forbidden at a position costs so much that no path takes it.
        self._cost = np.full((len(formats), max(self._lengths, default=0), classes), _NEVER, np.float32)
        for f, sets in enumerate(formats):
            for position, allowed in enumerate(sets):
                self._cost[f, position, allowed] = 0.0
        self._beyond = np.arange(self._cost.shape[1]) >= self._lengths[:, None]

    def search(self, logs: LogProbs, best: int = 3) -> list[tuple[int, list[int], list[int]]]:
        """Finds the best strings, one a format.

        Args:
            logs: float32 T×C natural log-probabilities.
            best: At most this many formats, the best first.

        Returns:
            For each: the format's index, the string's classes, and for each of them the step at which it is
            most probable.
        """
        sure = sure_blanks(logs)
        steps = np.flatnonzero(~(sure & np.concatenate([[False], sure[:-1]])))
        classes = np.flatnonzero(logs.max(axis=0) > _RARE)
        classes = np.union1d(classes, [BLANK])
        cost = self._cost[:, :, classes]
        possible = np.flatnonzero(((cost == 0).any(axis=2) | self._beyond).all(axis=1))
        if not len(possible):
            return []
        trellis = _Trellis(logs[np.ix_(steps, classes)], cost[possible], self._lengths[possible])
        found = []
        for row in np.argsort(-trellis.scores, kind="stable")[:best]:
            if trellis.scores[row] > _NEVER / 2:
                path = [(p, int(classes[c]) if c >= 0 else -1) for p, c in trellis.path(int(row))]
                found.append((int(possible[row]), *_best_steps(path, steps, logs)))
        return found


class _Trellis:
    """One forward pass of the search.

    Args:
        logs: float32 T×C natural log-probabilities, the blank first.
        cost: float32 F×L×C: 0 for what a format allows at a position, else very low.
        lengths: int F lengths of the formats.
    """

    def __init__(self, logs: LogProbs, cost: NDArray[np.float32], lengths: NDArray[np.int64]) -> None:
        steps = len(logs)
        formats, longest, _ = cost.shape
        self._lengths = lengths
        # For each step and position: whether a path came there as each class, and from which class before,
        # -1 for the blank; that is one for all classes but one, which cannot follow itself without a blank.
        self._entered = np.empty((steps, *cost.shape), bool)
        self._before = np.full((steps, formats, longest), -1, np.int16)
        self._other = np.full((steps, formats, longest), -1, np.int16)
        self._before_other = np.full((steps, formats, longest), -1, np.int16)
        self._blank_from = np.full((steps, formats, longest + 1), -1, np.int16)  # class that the blank ends
        rows, columns = np.ogrid[:formats, :longest]
        emitted = np.full(cost.shape, _NEVER, np.float32)  # position p was read last, as class c
        blank = np.full((formats, longest + 1), _NEVER, np.float32)  # p characters read, blank since
        blank[:, 0] = 0.0
        entering = np.empty(cost.shape, np.float32)
        for t in range(steps):
            first = emitted.argmax(axis=2)
            top = emitted[rows, columns, first]
            emitted[rows, columns, first] = _NEVER
            second = emitted.argmax(axis=2)
            next_best = emitted[rows, columns, second]
            emitted[rows, columns, first] = top
            # A new character follows a blank, or a different character without one between.
            other, gap = first[:, :-1], blank[:, 1:-1]
            self._other[t, :, 1:] = other
            self._before[t, :, 1:] = np.where(gap >= top[:, :-1], -1, other)
            self._before_other[t, :, 1:] = np.where(gap >= next_best[:, :-1], -1, second[:, :-1])
            reached = blank[:, :-1].copy()
            reached[:, 1:] = np.maximum(gap, top[:, :-1])
            np.add(reached[:, :, None], cost, out=entering)
            entering[rows, columns[:, 1:], other] = (
                np.maximum(gap, next_best[:, :-1]) + cost[rows, columns[:, 1:], other]
            )
            np.greater(entering, emitted, out=self._entered[t])
            np.maximum(entering, emitted, out=emitted)
            emitted += logs[t]
            fresh = top > blank[:, 1:]
            self._blank_from[t, :, 1:] = np.where(fresh, first, -1)
            np.maximum(blank[:, 1:], top, out=blank[:, 1:])
            blank += logs[t, BLANK]
        every = np.arange(formats)
        last = emitted[every, lengths - 1]
        self._end_class = last.argmax(axis=1)
        end = last[every, self._end_class]
        self._in_blank = blank[every, lengths] > end
        self.scores: NDArray[np.float32] = np.where(self._in_blank, blank[every, lengths], end)

    def path(self, row: int) -> list[tuple[int, int]]:
        """Walks one format's best alignment back; gives (position, class) of each step, -1 for a blank."""
        position = int(self._lengths[row])
        state = -1 if self._in_blank[row] else int(self._end_class[row])
        found: list[tuple[int, int]] = []
        for t in range(len(self._entered) - 1, -1, -1):
            found.append((position - 1, state))
            if state == -1:
                state = int(self._blank_from[t, row, position])
            elif self._entered[t, row, position - 1, state]:
                before = self._before_other if state == self._other[t, row, position - 1] else self._before
                state = int(before[t, row, position - 1])
                position -= 1
        return found[::-1]


def _best_steps(
    path: list[tuple[int, int]], steps: NDArray[np.int64], logs: LogProbs
) -> tuple[list[int], list[int]]:
    """Returns the classes of an alignment and, for each, the step where it is most probable."""
    classes: list[int] = []
    at: list[int] = []
    for step, (position, c) in zip(steps.tolist(), path, strict=True):
        if c == -1:
            continue
        if position == len(classes):
            classes.append(c)
            at.append(step)
        elif logs[step, c] > logs[at[position], c]:
            at[position] = step
    return classes, at
