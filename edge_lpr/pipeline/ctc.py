"""CTC decoding: the best text, and the best plate, of the recognizer's posterior.

A posterior is float32 T×C: at each of T steps the probability of each class; class 0 is the blank (A. Graves
et al., "Connectionist Temporal Classification", ICML 2006). `greedy` is what PaddleOCR does. `PlateDecoder`
searches the best string of each plate format with a position automaton and then weighs plate against text by
their exact CTC likelihoods; where the posterior leaves no other plate, a shortcut leads to the same result.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from edge_lpr.pipeline.candidates import CandidateSearch
from edge_lpr.pipeline.constrained_ctc import PositionAutomaton
from edge_lpr.pipeline.ctc_likelihood import BLANK, best_alignment, log_likelihoods
from edge_lpr.pipeline.ctc_shortcut import GreedyShortcut, PlatePath
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
        shortcut: Whether the search is left out where it can find nothing else. The readings are the same.
    """

    def __init__(
        self,
        charset: Sequence[str],
        unknown_class: bool = False,
        format_prior: float = 12.0,
        formats: Sequence[PlateFormat] | None = None,
        *,
        shortcut: bool = True,
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
        sets_of_formats = [sets for _, sets in usable]
        self._automaton = PositionAutomaton(sets_of_formats, len(self.labels))
        # With less of a preference than that, the free text may count for more than the surest plate.
        self._shortcut = (
            GreedyShortcut(sets_of_formats, self._homoglyphs, len(self.labels))
            if shortcut and format_prior >= 1.0
            else None
        )
        self._search = CandidateSearch(self.labels, self.formats)

    def decode(self, probs: Probs) -> Reading:
        """Reads one posterior.

        Args:
            probs: float32 T×C, C as many as the labels.
        """
        probs = self._without_dot(probs)
        free, steps = greedy_path(probs)
        # No string of a format can be near where so little was read: the search would be in vain.
        known = sum(1 for c in free if self.labels[c] != UNKNOWN)
        if known < 3 or not self.formats:
            return self._reading(probs, probs, free, steps)
        shared, shared_logs = self._shared(probs)
        plate = self._shortcut.find(shared, shared_logs) if self._shortcut else None
        if plate is None:
            plate = self._best_plate(shared_logs)
            if plate is None or not self._is_preferred(plate, probs, free):
                return self._reading(probs, probs, free, steps)
        reading = self._reading(shared, probs, plate.classes, plate.steps, self.formats[plate.format])
        if plate.classes == free:
            return reading
        left_out = _left_out(shared, shared_logs, plate.classes) if plate.leaves_out else None
        return _doubted(reading, left_out)

    def _shared(self, probs: Probs) -> tuple[Probs, LogProbs]:
        """Lets characters of one glyph share their probability: the position decides which stands there."""
        shared = probs.copy()
        for one, other in self._homoglyphs:
            shared[:, one] += probs[:, other]
            shared[:, other] = shared[:, one]
        return shared, np.log(np.maximum(shared, _FLOOR))

    def _best_plate(self, logs: LogProbs) -> PlatePath | None:
        """Searches the most probable plate; `logs` are those of shared probabilities, float32 T×C."""
        found = self._automaton.search(logs)
        if not found:
            return None
        likelihoods = log_likelihoods(logs, [classes for _, classes, _ in found])
        best = int(likelihoods.argmax())
        return PlatePath(*found[best], float(likelihoods[best]), leaves_out=True)

    def _is_preferred(self, plate: PlatePath, probs: Probs, free: list[int]) -> bool:
        logs = np.log(np.maximum(probs, _FLOOR))
        return bool(plate.log_likelihood + self.format_prior >= log_likelihoods(logs, [free])[0])

    def takes_shortcut(self, probs: Probs) -> bool:
        """Tells whether a posterior, as for `decode`, leaves no other plate, so that nothing is searched."""
        shared, logs = self._shared(self._without_dot(probs))
        return self._shortcut is not None and self._shortcut.find(shared, logs) is not None

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
        scored: Probs,
        probs: Probs,
        classes: list[int],
        steps: list[int],
        plate: PlateFormat | None = None,
    ) -> Reading:
        log_probs = np.log(np.maximum(probs[steps], _FLOOR))
        log_probs[:, BLANK] = np.log(_FLOOR)
        log_probs -= np.logaddexp.reduce(log_probs, axis=1, keepdims=True) if len(steps) else 0.0
        return Reading(
            text="".join(self.labels[c] for c in classes),
            format=plate,
            char_scores=tuple(scored[steps, classes].tolist()),
            log_probs=log_probs,
        )


def _left_out(probs: Probs, logs: LogProbs, classes: Sequence[int]) -> Probs:
    """Tells what a text leaves out: float32 L, the highest probability of it beside each character."""
    states = np.array(best_alignment(logs, classes))
    beside = np.minimum(states // 2, len(classes) - 1)
    kept = np.where(states % 2, np.array(classes)[beside], BLANK)
    seen = probs.argmax(axis=1)
    steps = np.arange(len(probs))
    missing = (seen != BLANK) & (probs[steps, seen] > probs[steps, kept])
    left_out = np.zeros(len(classes), np.float32)
    np.maximum.at(left_out, beside[missing], probs[steps, seen][missing])
    return left_out


def _doubted(reading: Reading, left_out: Probs | None) -> Reading:
    """Lowers the scores beside what a plate leaves out, as `_left_out` tells it; None for nothing."""
    if left_out is None:
        left_out = np.zeros(len(reading.char_scores), np.float32)
    doubt = np.clip(left_out.astype(np.float64), _FLOOR, 1 - _FLOOR)
    log_probs = reading.log_probs + np.log1p(-doubt)[:, None].astype(np.float32)
    log_probs[:, BLANK] = np.log(doubt)
    scores = (
        min(score, float(1 - seen)) if seen else score
        for score, seen in zip(reading.char_scores, left_out, strict=True)
    )
    return replace(reading, char_scores=tuple(scores), log_probs=log_probs)
