"""Fusion: what the reads of one plate, added up per character, say together."""

from __future__ import annotations

import math
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np

from edge_lpr.geometry import side_lengths
from edge_lpr.pipeline.ctc import UNKNOWN
from edge_lpr.plates import PlateFormat, PlateRead, plate_formats
from edge_lpr.plates.characters import HOMOGLYPHS
from edge_lpr.plates.read import TEXT
from edge_lpr.types import LogProbs

__all__ = ["Fusion", "LogProbSum", "ReadSums", "align", "read_weight", "text_similarity"]

# No single frame may rule a character out: its log-probability counts for no less than this.
_LOG_PROB_FLOOR = math.log(1e-3)
# Frames of one track resemble each other: however many, they are worth no more than this many independent
# looks at the plate.
_INDEPENDENT_LOOKS = 3.0
# A whole plate outweighs the reads of a part of it with this share of their weight.
_WHOLE_SHARE = 0.2
# A plate this high, in pixels, holds all the detail that the recognizer sees (its input is 48 high).
_FULL_DETAIL = 32.0


@dataclass
class LogProbSum:
    """Weighted sum of the log-probabilities of reads of one length.

    Attributes:
        log_probs: float32 L×C.
        weight: Sum of the reads' weights, above 0.
    """

    log_probs: LogProbs
    weight: float

    def mean(self) -> LogProbs:
        """Returns the weighted mean, float32 L×C."""
        return np.asarray(self.log_probs / self.weight, np.float32)


class ReadSums:
    """What the reads of one track add up to: it stays small however long a car is parked.

    Attributes:
        by_length: A sum for each number of characters.
        kinds: The weight of the reads of each kind of plate.
    """

    def __init__(self) -> None:
        self.by_length: dict[int, LogProbSum] = {}
        self.kinds: dict[str, float] = {}

    def add(self, read: PlateRead, weight: float) -> None:
        """Adds a read; `read_weight` gives its weight."""
        kept = np.maximum(read.log_probs, np.float32(_LOG_PROB_FLOOR)) * np.float32(weight)
        if (known := self.by_length.get(len(read.text))) is None:
            self.by_length[len(read.text)] = LogProbSum(kept, weight)
        else:
            known.log_probs += kept
            known.weight += weight
        self.kinds[read.kind] = self.kinds.get(read.kind, 0.0) + weight


class Fusion:
    """Finds the text that the sum of many reads holds.

    Args:
        labels: The text of each class.
    """

    def __init__(self, labels: tuple[str, ...]) -> None:
        self._labels = labels
        index = {label: i for i, label in enumerate(labels)}
        self._homoglyphs = [(index[a], index[b]) for a, b in HOMOGLYPHS if a in index and b in index]
        self._plain = [i for i, label in enumerate(labels) if label and label != UNKNOWN]

    def fuse(self, sums: ReadSums) -> tuple[str, tuple[float, ...], str]:
        """Fuses the reads of one track.

        The sums of reads of one length stand position by position. The length with the most weight leads, or
        a longer one of which that shows a part; sums of other lengths (a character lost at the border, or one
        too many) are aligned to it and add what they hold at the aligned positions.

        Args:
            sums: What they add up to; of one read or more.

        Returns:
            The text, each character's score (0 to 1), and the kind.
        """
        lead = self._lead(sums)
        leading = sums.by_length[lead]
        total = leading.log_probs.copy()
        weights = np.full(lead, leading.weight)
        for length, other in sums.by_length.items():
            if length == lead:
                continue
            for at_lead, at_other in align(leading.mean(), other.mean()):
                total[at_lead] += other.log_probs[at_other]
                weights[at_lead] += other.weight
        looks = np.clip(weights, 1.0, _INDEPENDENT_LOOKS)
        mean = total * (looks / weights)[:, None]
        mean -= np.logaddexp.reduce(mean, axis=1, keepdims=True)
        is_text = set(sums.kinds) == {TEXT}
        for first, second in [] if is_text else self._homoglyphs:
            # One glyph, two characters: the position decides, so both have the probability of the glyph.
            mean[:, first] = mean[:, second] = np.logaddexp(mean[:, first], mean[:, second])
        plate, classes = self._best(mean, is_text)
        scores = tuple(float(np.exp(mean[i, c])) for i, c in enumerate(classes))
        kinds = sums.kinds
        if plate is not None:
            kinds = {kind: weight for kind, weight in kinds.items() if kind in plate.kinds}
        kind = max(kinds, key=lambda k: kinds[k]) if kinds else next(iter(plate.kinds)) if plate else TEXT
        return "".join(self._labels[c] for c in classes), scores, kind

    def _lead(self, sums: ReadSums) -> int:
        """Returns the length of the text: that of the most weight, unless it is a part of a longer one.

        A vehicle that comes into view shows a part of its plate first, often in more frames than the whole.
        """
        lead = max(sums.by_length, key=lambda length: sums.by_length[length].weight)
        part = sums.by_length[lead]
        for length in sorted(sums.by_length):
            longer = sums.by_length[length]
            if length <= lead or longer.weight < _WHOLE_SHARE * part.weight:
                continue
            text, whole = (self._text(one.mean()) for one in (part, longer))
            if whole.startswith(text) or whole.endswith(text):
                return length
        return lead

    def _text(self, mean: LogProbs) -> str:
        return "".join(self._labels[int(c)] for c in mean.argmax(axis=1))

    def _best(self, mean: LogProbs, is_text: bool) -> tuple[PlateFormat | None, list[int]]:
        """Returns the format whose best string has the highest log-probability, and that string's classes."""
        best: tuple[float, PlateFormat | None, list[int]] | None = None
        for plate in () if is_text else plate_formats():
            if len(plate.positions) != len(mean):
                continue
            classes = []
            for row, allowed in zip(mean, plate.positions, strict=True):
                columns = [i for i in self._plain if self._labels[i] in allowed]
                if not columns:
                    break
                classes.append(max(columns, key=lambda i, row=row: row[i]))  # type: ignore[misc]
            else:
                likelihood = float(sum(mean[i, c] for i, c in enumerate(classes)))
                if best is None or likelihood > best[0]:
                    best = likelihood, plate, classes
        if best is None:
            return None, [int(c) for c in mean.argmax(axis=1)]
        return best[1], best[2]


def align(first: LogProbs, second: LogProbs) -> list[tuple[int, int]]:
    """Aligns two sequences of character distributions (Needleman and Wunsch, with no cost for a gap).

    Args:
        first: float32 L×C natural log-probabilities.
        second: float32 M×C likewise.

    Returns:
        Pairs of positions that show the same character, ascending. Two positions are worth the probability
        that both show one character.
    """
    same = np.exp(first) @ np.exp(second).T
    table = np.zeros((len(first) + 1, len(second) + 1))
    for i in range(len(first)):
        for j in range(len(second)):
            table[i + 1, j + 1] = max(table[i, j] + same[i, j], table[i, j + 1], table[i + 1, j])
    pairs = []
    i, j = len(first), len(second)
    while i and j:
        if table[i, j] == table[i - 1, j]:
            i -= 1
        elif table[i, j] == table[i, j - 1]:
            j -= 1
        else:
            i, j = i - 1, j - 1
            pairs.append((i, j))
    return pairs[::-1]


def text_similarity(first: str, second: str) -> float:
    """Returns how alike two texts are, 0 to 1: the share of characters that match in order."""
    return SequenceMatcher(None, first, second, autojunk=False).ratio()


def read_weight(read: PlateRead) -> float:
    """Returns the weight of a read in the fusion: how sure it is times how much detail it had, above 0."""
    detail = min(1.0, float(side_lengths(read.corners).min()) / _FULL_DETAIL)
    return max(read.score * read.min_score * detail, 1e-3)
