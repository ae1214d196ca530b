"""Fusion: what the reads of one plate, added up per character, say together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np

from edge_lpr.geometry import side_lengths
from edge_lpr.pipeline.candidates import CandidateSearch, posterior_of
from edge_lpr.pipeline.ctc import UNKNOWN, Scored
from edge_lpr.pipeline.ctc_likelihood import BLANK
from edge_lpr.plates import PlateFormat, PlateRead, plate_formats
from edge_lpr.plates.characters import HOMOGLYPHS
from edge_lpr.plates.read import TEXT, UNKNOWN_KIND, Candidate
from edge_lpr.types import LogProbs

__all__ = ["FusedText", "Fusion", "LogProbSum", "ReadSums", "align", "read_weight", "text_similarity"]

# A look may be wrong about a character, however sure it is: no single one leaves what others have seen a
# lesser probability than this.
_LOG_PROB_FLOOR = math.log(0.02)
# Frames of one track resemble each other: however many, they are worth no more than this many independent
# looks at the plate.
_INDEPENDENT_LOOKS = 3.0
# A whole plate outweighs the reads of a part of it with this share of their weight.
_WHOLE_SHARE = 0.2
# A reading speaks for all where it has more than this share of the weight. Twice what all others have: a
# character that half of the reads deny is not known by counting.
_MAJORITY = 2 / 3
# Texts of one track that are told apart: more are the noise of a plate that nobody can read.
_TEXTS = 16
# A plate this high, in pixels, holds all the detail that the recognizer sees (its input is 48 high).
_FULL_DETAIL = 32.0
# Small plates are read surer than rightly (`edge_lpr.benchmarks.early`), so that detail counts by this power:
# by the first, sure reads from afar denied those from near, and the vehicle was told wrongly or not at all.
_DETAIL_POWER = 3.0


@dataclass(frozen=True)
class FusedText(Scored):
    """What is known of a plate from all its reads.

    Attributes:
        text: The characters.
        kind: The kind of plate, as in `PlateRead`.
        char_scores: Probability of each character, 0 to 1, given the reads as up to three independent looks.
    """

    text: str
    kind: str
    char_scores: tuple[float, ...]


class LogProbSum:
    """Weighted sum of the log-probabilities of reads of one length.

    Args:
        shape: L positions, C classes.

    Attributes:
        weights: Sum of the reads' weights at each position, float64 L.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        self.weights = np.zeros(shape[0])
        self._exact = np.zeros(shape, np.float32)
        self._floored = np.zeros(shape, np.float32)
        self._seen = np.zeros(shape, bool)

    @property
    def weight(self) -> float:
        """Sum of the reads' weights."""
        return float(self.weights.max())

    def add(self, log_probs: LogProbs, weight: float) -> None:
        """Adds a read: its log-probabilities, float32 L×C, and its weight, above 0."""
        self.weights += weight
        self._exact += log_probs * np.float32(weight)
        self._floored += np.maximum(log_probs, np.float32(_LOG_PROB_FLOOR)) * np.float32(weight)
        self._seen |= log_probs > _LOG_PROB_FLOOR

    def add_aligned(self, other: LogProbSum, pairs: Sequence[tuple[int, int]]) -> None:
        """Adds what a sum of another length holds at positions that are paired with positions here."""
        for here, there in pairs:
            self.weights[here] += other.weights[there]
            self._exact[here] += other._exact[there]
            self._floored[here] += other._floored[there]
            self._seen[here] |= other._seen[there]

    def mean(self) -> LogProbs:
        """Returns the weighted mean, float32 L×C, in which no read denies what another has seen."""
        # What none has seen keeps its own small share: seventy floors would add up to a doubt nobody had.
        total = np.where(self._seen, self._floored, self._exact)
        return np.asarray(total / self.weights[:, None], np.float32)


@dataclass
class _Support:
    """What speaks for one text: the weight of all reads that read it, and the surest of them."""

    weight: float
    best_weight: float
    best: FusedText


class ReadSums:
    """What the reads of one track add up to: it stays small however long a car is parked.

    Attributes:
        by_length: A sum for each number of characters.
        kinds: The weight of the reads of each kind of plate.
        weight: The weight of all reads.
    """

    def __init__(self) -> None:
        self.by_length: dict[int, LogProbSum] = {}
        self.kinds: dict[str, float] = {}
        self.weight = 0.0
        self._texts: dict[str, _Support] = {}

    def add(self, read: PlateRead, weight: float) -> None:
        """Adds a read; `read_weight` gives its weight."""
        if (known := self.by_length.get(len(read.text))) is None:
            known = self.by_length[len(read.text)] = LogProbSum(read.log_probs.shape)
        known.add(read.log_probs, weight)
        self.kinds[read.kind] = self.kinds.get(read.kind, 0.0) + weight
        self.weight += weight
        support = self._texts.setdefault(read.text, _Support(0.0, 0.0, _single(read)))
        support.weight += weight
        if weight > support.best_weight:
            support.best_weight, support.best = weight, _single(read)
        if len(self._texts) > _TEXTS:
            del self._texts[min(self._texts, key=lambda text: self._texts[text].weight)]

    def best_supported(self) -> FusedText | None:
        """Returns the surest read of the text that more than two thirds of the weight have read, or None."""
        support = max(self._texts.values(), key=lambda one: one.weight)
        return support.best if support.weight > _MAJORITY * self.weight else None


class Fusion:
    """Finds the text that the sum of many reads holds.

    Args:
        labels: The text of each class.
    """

    def __init__(self, labels: tuple[str, ...]) -> None:
        self._labels = labels
        index = {label: i for i, label in enumerate(labels)}
        self._homoglyphs = [(index[a], index[b]) for a, b in HOMOGLYPHS if a in index and b in index]
        plain = [i for i, label in enumerate(labels) if label and label != UNKNOWN]
        columns = [
            (plate, [[i for i in plain if labels[i] in allowed] for allowed in plate.positions])
            for plate in plate_formats()
        ]
        self._search = CandidateSearch(labels)
        # A format needing a character that the recognizer lacks is left out.
        self._formats = [(plate, list(map(np.array, sets))) for plate, sets in columns if all(sets)]

    def known(self, sums: ReadSums, min_score: float, sure: float) -> FusedText | None:
        """Returns what can be told of a track: all its reads fused, where that is a plate sure enough.

        Reads can add up to less than each of them: where they deny each other, or were aligned badly. Then a
        sure reading that most of them share is told, and where there is none, nothing.

        Args:
            sums: As for `fuse`.
            min_score: What the lowest score of a plate's characters has to reach, 0 to 1; text that is no
                plate is told with any.
            sure: What a single reading has to reach to stand for all.
        """
        fused, single = self.fuse(sums), sums.best_supported()
        for text, least in ((fused, min_score), (single, max(min_score, sure))):
            if text is not None and (text.kind == TEXT or text.min_score >= least):
                return text
        return None

    def fuse(self, sums: ReadSums) -> FusedText:
        """Fuses the reads of one track.

        The sums of reads of one length stand position by position. The length with the most weight leads, or
        a longer one of which that shows a part; sums of other lengths (a character lost at the border, or one
        too many) are aligned to it and add what they hold at the aligned positions.

        Args:
            sums: What they add up to; of one read or more.

        Returns:
            The text. Where reads deny each other's characters, the better supported one, with a score that
            says how much better; where none is, a low one.
        """
        mean = self._mean(sums)
        is_text = set(sums.kinds) == {TEXT}
        for first, second in [] if is_text else self._homoglyphs:
            # One glyph, two characters: the position decides, so both have the probability of the glyph.
            mean[:, first] = mean[:, second] = np.logaddexp(mean[:, first], mean[:, second])
        plate, classes = self._best(mean, is_text)
        scores = tuple(float(np.exp(mean[i, c])) for i, c in enumerate(classes))
        kind = TEXT if plate is None else _kind(plate, sums.kinds)
        return FusedText("".join(self._labels[c] for c in classes), kind, scores)

    def candidates(self, sums: ReadSums, limit: int, but: str) -> tuple[Candidate, ...]:
        """Finds the most probable plates by the reads of one track; see `CandidateSearch.best`."""
        return self._search.best(posterior_of(self._mean(sums)), limit, but)

    def _mean(self, sums: ReadSums) -> LogProbs:
        """Returns what all reads say of each position, float32 L×C, each normalised to one."""
        lead = self._lead(sums)
        leading = sums.by_length[lead]
        total = deepcopy(leading)
        for length, other in sums.by_length.items():
            if length != lead:
                total.add_aligned(other, align(leading.mean(), other.mean()))
        mean = total.mean() * np.clip(total.weights, 1.0, _INDEPENDENT_LOOKS)[:, None].astype(np.float32)
        return np.asarray(mean - np.logaddexp.reduce(mean, axis=1, keepdims=True), np.float32)

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
        return "".join(self._labels[c] for c in _likeliest(mean))

    def _best(self, mean: LogProbs, is_text: bool) -> tuple[PlateFormat | None, list[int]]:
        """Returns the format whose best string has the highest log-probability, and that string's classes."""
        best: tuple[float, PlateFormat, list[int]] | None = None
        for plate, allowed in () if is_text else self._formats:
            if len(allowed) != len(mean):
                continue
            classes = [int(one[row[one].argmax()]) for row, one in zip(mean, allowed, strict=True)]
            likelihood = float(sum(mean[i, c] for i, c in enumerate(classes)))
            if best is None or likelihood > best[0]:
                best = likelihood, plate, classes
        return (None, _likeliest(mean)) if best is None else best[1:]


def align(first: LogProbs, second: LogProbs) -> list[tuple[int, int]]:
    """Aligns two sequences of character distributions (Needleman and Wunsch, with no cost for a gap).

    Args:
        first: float32 L×C natural log-probabilities.
        second: float32 M×C likewise.

    Returns:
        Pairs of positions that show the same character, ascending. Two positions are worth the probability
        that both show one character.
    """
    same = np.exp(np.delete(first, BLANK, axis=1)) @ np.exp(np.delete(second, BLANK, axis=1)).T
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
    return max(read.score * read.min_score * math.pow(detail, _DETAIL_POWER), 1e-3)


def _likeliest(mean: LogProbs) -> list[int]:
    """Returns the likeliest character of each position, as a class; never the blank."""
    characters = mean.copy()
    characters[:, BLANK] = -np.inf
    return [int(c) for c in characters.argmax(axis=1)]


def _kind(plate: PlateFormat, kinds: dict[str, float]) -> str:
    """Returns the kind that most reads have, of those that a format serves."""
    fitting = {kind: weight for kind, weight in kinds.items() if kind in plate.kinds}
    if fitting:
        return max(fitting, key=lambda kind: fitting[kind])
    return UNKNOWN_KIND if UNKNOWN_KIND in kinds and len(plate.kinds) > 1 else next(iter(plate.kinds))


def _single(read: PlateRead) -> FusedText:
    return FusedText(read.text, read.kind, read.char_scores)
