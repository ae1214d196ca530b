"""CTC decoding: the best text, and the best plate, of the recognizer's posterior.

A posterior is float32 T×C: at each of T steps the probability of each class; class 0 is the blank (A. Graves
et al., "Connectionist Temporal Classification", ICML 2006). `greedy` is what PaddleOCR does. `PlateDecoder`
searches the best string of each plate format with a position automaton and then weighs plate against text by
their exact CTC likelihoods.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from edge_lpr.pipeline.candidates import CandidateSearch
from edge_lpr.pipeline.constrained_ctc import BLANK, PositionAutomaton
from edge_lpr.plates import PlateFormat, plate_formats
from edge_lpr.plates.characters import DOT, HOMOGLYPHS
from edge_lpr.plates.read import Candidate
from edge_lpr.types import LogProbs, Probs

# What stands for a character that the head was cut of.
UNKNOWN = "□"
_FLOOR = 1e-10


class Scored:
    """A text with a probability for each of its characters."""

    char_scores: tuple[float, ...]

    @property
    def score(self) -> float:
        """Mean of the character scores, 0 for an empty text."""
        return float(np.mean(self.char_scores)) if self.char_scores else 0.0

    @property
    def min_score(self) -> float:
        """Lowest of the character scores, 0 for an empty text."""
        return min(self.char_scores, default=0.0)


@dataclass(frozen=True, eq=False)
class Reading(Scored):
    """One decoded posterior.

    Attributes:
        text: The text.
        format: The plate format that it follows; None for text that is no plate.
        char_scores: Probability of each character at its best step, 0 to 1; no more than the probability that
            a character which the network saw beside it, and which the text leaves out, is none.
        log_probs: float32 L×C natural log-probabilities at each character's best step, normalised to one
            without the blank: its column is the floor, or the probability of what the text leaves out there.
    """

    text: str
    format: PlateFormat | None
    char_scores: tuple[float, ...]
    log_probs: LogProbs


def class_labels(charset: Sequence[str], unknown_class: bool) -> tuple[str, ...]:
    """Returns the text of each class: "" for the blank, the charset, and `UNKNOWN` where there is one."""
    return ("", *charset, *([UNKNOWN] if unknown_class else []))


def greedy_path(probs: Probs) -> tuple[list[int], list[int]]:
    """Decodes greedily: the best class of each step, repeats merged, blanks dropped.

    Args:
        probs: float32 T×C.

    Returns:
        The classes, and the steps at which each begins.
    """
    best = probs.argmax(axis=1)
    starts = np.ones(len(best), bool)
    starts[1:] = best[1:] != best[:-1]
    steps = np.flatnonzero(starts & (best != BLANK))
    return best[steps].tolist(), steps.tolist()


def greedy(probs: Probs, charset: Sequence[str], unknown_class: bool = False) -> tuple[str, float]:
    """Decodes greedily, as PaddleOCR's `CTCLabelDecode` does.

    Args:
        probs: float32 T×C, class 0 the blank.
        charset: Class i is `charset[i - 1]`.
        unknown_class: Whether one more class stands for all other characters.

    Returns:
        The text, and the mean probability of its characters at the step where each begins (0 for none).
    """
    labels = class_labels(charset, unknown_class)
    classes, steps = greedy_path(probs)
    score = float(np.mean(probs[steps, classes])) if classes else 0.0
    return "".join(labels[c] for c in classes), score


def log_likelihood(log_probs: LogProbs, classes: Sequence[int]) -> float:
    """Returns the natural logarithm of the probability that CTC gives to a text, over all its alignments.

    The forward recursion of Graves et al., section 4.1.

    Args:
        log_probs: float32 T×C natural logarithms.
        classes: The text, as classes without blanks.
    """
    extended = np.zeros(2 * len(classes) + 1, np.int64)
    extended[1::2] = classes
    skip = np.zeros(len(extended), bool)
    skip[3::2] = extended[3::2] != extended[1:-2:2]
    emit = log_probs[:, extended].astype(np.float64)
    alpha = np.full(len(extended) + 2, -np.inf)
    alpha[2] = emit[0, 0]
    if len(classes):
        alpha[3] = emit[0, 1]
    for t in range(1, len(emit)):
        stay = np.logaddexp(alpha[2:], alpha[1:-1])
        alpha[2:] = np.where(skip, np.logaddexp(stay, alpha[:-2]), stay) + emit[t]
    return float(np.logaddexp(alpha[-1], alpha[-2])) if len(classes) else float(alpha[-1])


def best_alignment(log_probs: LogProbs, classes: Sequence[int]) -> list[int]:
    """Aligns a text to a posterior: the most probable of the alignments that `log_likelihood` adds up.

    Args:
        log_probs: float32 T×C natural logarithms, T enough for the text.
        classes: The text, as classes without blanks, one at least.

    Returns:
        For each step an even number 2k for the blank before character k, or 2k + 1 for character k itself.
    """
    extended = np.zeros(2 * len(classes) + 1, np.int64)
    extended[1::2] = classes
    states = np.arange(len(extended))
    skip = np.full(len(extended), -np.inf)
    skip[3::2] = np.where(extended[3::2] != extended[1:-2:2], 0.0, -np.inf)
    emit = log_probs[:, extended].astype(np.float64)
    score = np.where(states < 2, emit[0], -np.inf)
    came = np.zeros(emit.shape, np.int64)
    for t in range(1, len(emit)):
        before = np.stack(
            [score, np.append(-np.inf, score[:-1]), np.append([-np.inf] * 2, score[:-2]) + skip]
        )
        came[t] = before.argmax(axis=0)
        score = before[came[t], states] + emit[t]
    state = int(np.argmax(score[-2:])) + len(score) - 2
    path = [state]
    for t in range(len(emit) - 1, 0, -1):
        state -= int(came[t, state])
        path.append(state)
    return path[::-1]


class PlateDecoder:
    """Finds the best plate string in a posterior, and whether it is one.

    A position automaton gives the best string of each format; the best few are then weighed by their exact
    likelihood against the best free text. A plate is preferred unless the free text is more than
    `format_prior` nats more likely.

    Args:
        charset: The recognizer's characters.
        unknown_class: Whether one more class stands for all others.
        format_prior: The preference for plates, in nats; 0 takes a plate only where it is the best free text
            too.
        formats: The formats to look for; None for all. A format needing a character that the charset lacks
            is left out.
    """

    def __init__(
        self,
        charset: Sequence[str],
        unknown_class: bool = False,
        format_prior: float = 12.0,
        formats: Sequence[PlateFormat] | None = None,
    ) -> None:
        self.labels = class_labels(charset, unknown_class)
        self.format_prior = format_prior
        self._dot = self.labels.index(DOT) if DOT in self.labels else None
        index = {c: i for i, c in enumerate(self.labels)}
        self._homoglyphs = [[index[a], index[b]] for a, b in HOMOGLYPHS if a in index and b in index]
        usable = [
            (plate, [[index[c] for c in allowed if c in index] for allowed in plate.positions])
            for plate in (plate_formats() if formats is None else formats)
        ]
        usable = [(plate, sets) for plate, sets in usable if all(sets)]
        self.formats = [plate for plate, _ in usable]
        self._automaton = PositionAutomaton([sets for _, sets in usable], len(self.labels))
        self._search = CandidateSearch(self.labels, self.formats)

    def decode(self, probs: Probs) -> Reading:
        """Reads one posterior.

        Args:
            probs: float32 T×C, C as many as the labels.
        """
        probs = self._without_dot(probs)
        logs = np.log(np.maximum(probs, _FLOOR))
        free, steps = greedy_path(probs)
        # No string of a format can be near where so little was read: the search would be in vain.
        known = sum(1 for c in free if self.labels[c] != UNKNOWN)
        if known < 3 or not self.formats:
            return self._reading(probs, logs, free, steps)
        # Characters of one glyph share their probability: the position decides which of them stands there.
        shared = probs.copy()
        for pair in self._homoglyphs:
            shared[:, pair] = probs[:, pair].sum(axis=1, keepdims=True)
        shared_logs = np.log(np.maximum(shared, _FLOOR))
        best: tuple[float, int, list[int], list[int]] | None = None
        for f, classes, at in self._automaton.search(shared_logs):
            likelihood = log_likelihood(shared_logs, classes)
            if best is None or likelihood > best[0]:
                best = likelihood, f, classes, at
        if best is None or best[0] + self.format_prior < log_likelihood(logs, free):
            return self._reading(probs, logs, free, steps)
        _, f, classes, at = best
        reading = self._reading(shared, logs, classes, at, self.formats[f])
        return reading if classes == free else _doubted(reading, shared, shared_logs, classes)

    def candidates(self, probs: Probs, limit: int, but: str) -> tuple[Candidate, ...]:
        """Finds the most probable plates in one posterior; see `CandidateSearch.best`."""
        return self._search.best(self._without_dot(probs), limit, but)

    def _without_dot(self, probs: Probs) -> Probs:
        if self._dot is None:
            return probs
        # The dot says nothing: it is read as a blank.
        probs = probs.copy()
        probs[:, BLANK] += probs[:, self._dot]
        probs[:, self._dot] = 0.0
        return probs

    def _reading(
        self,
        probs: Probs,
        logs: LogProbs,
        classes: list[int],
        steps: list[int],
        plate: PlateFormat | None = None,
    ) -> Reading:
        log_probs = logs[steps].copy()
        log_probs[:, BLANK] = np.log(_FLOOR)
        log_probs -= np.logaddexp.reduce(log_probs, axis=1, keepdims=True) if len(steps) else 0.0
        return Reading(
            text="".join(self.labels[c] for c in classes),
            format=plate,
            char_scores=tuple(float(p) for p in probs[steps, classes]),
            log_probs=log_probs,
        )


def _doubted(reading: Reading, probs: Probs, log_probs: LogProbs, classes: Sequence[int]) -> Reading:
    """Lowers the scores beside characters that the posterior shows and the text leaves out."""
    scores = list(reading.char_scores)
    left_out = np.zeros(len(scores))
    states = best_alignment(log_probs, classes)
    for step, state in enumerate(states):
        seen = int(probs[step].argmax())
        kept = classes[state // 2] if state % 2 else BLANK
        if seen != BLANK and probs[step, seen] > probs[step, kept]:
            beside = min(state // 2, len(scores) - 1)
            scores[beside] = min(scores[beside], float(1 - probs[step, seen]))
            left_out[beside] = max(left_out[beside], probs[step, seen])
    doubt = np.clip(left_out, _FLOOR, 1 - _FLOOR)
    doubted = reading.log_probs + np.log1p(-doubt)[:, None].astype(np.float32)
    doubted[:, BLANK] = np.log(doubt)
    return replace(reading, char_scores=tuple(scores), log_probs=doubted)
