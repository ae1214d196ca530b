"""The most probable plate texts of a CTC posterior, and what each is worth exactly.

Prefix search decoding (A. Graves et al., "Connectionist Temporal Classification", ICML 2006, section 3.2):
the probability that a text begins with a prefix is no less than that of any text that does, so who always
looks at the most probable prefix first meets the most probable texts first, and misses none.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.typing import NDArray

from edge_lpr.pipeline.ctc_likelihood import BLANK
from edge_lpr.plates import PlateFormat, plate_formats
from edge_lpr.plates.characters import HOMOGLYPHS
from edge_lpr.plates.read import Candidate
from edge_lpr.types import LogProbs, Probs

__all__ = ["LEAST", "CandidateSearch", "posterior_of"]

LEAST = 1e-4
"""A text that is less probable than this is no candidate."""


@dataclass(frozen=True, eq=False)
class _Prefix:
    """What texts may begin with.

    Attributes:
        classes: The characters.
        formats: bool F, the formats that begin so.
        open: For each step, the probability that the prefix has been read up to it, its last character just
            now or with a blank since.
        blank: The part of `open` with a blank since.
    """

    classes: tuple[int, ...]
    formats: NDArray[np.bool_]
    open: list[float]
    blank: list[float]


class CandidateSearch:
    """Finds the most probable plates in a posterior.

    Args:
        labels: The text of each class, the blank first.
        formats: The formats of plates; None for all. One needing a character that no class stands for is left
            out.
    """

    def __init__(self, labels: Sequence[str], formats: Sequence[PlateFormat] | None = None) -> None:
        index = {label: i for i, label in enumerate(labels) if label}
        usable = [
            plate
            for plate in (plate_formats() if formats is None else formats)
            if all(any(c in index for c in allowed) for allowed in plate.positions)
        ]
        self._lengths = np.array([len(plate.positions) for plate in usable], np.int64)
        # One glyph is one class: which of its characters it is, the position says.
        self._merged = [(index[a], index[b]) for a, b in HOMOGLYPHS if a in index and b in index]
        glyph = {a: b for b, a in self._merged}
        longest = max(self._lengths, default=0)
        self._allowed = np.zeros((len(usable), longest + 1, len(labels)), bool)
        self._characters: list[list[dict[int, str]]] = []
        for f, plate in enumerate(usable):
            self._characters.append(
                [
                    {glyph.get(index[c], index[c]): c for c in allowed if c in index}
                    for allowed in plate.positions
                ]
            )
            for k, characters in enumerate(self._characters[f]):
                self._allowed[f, k, list(characters)] = True

    def best(self, probs: Probs, limit: int, but: str = "") -> tuple[Candidate, ...]:
        """Finds the most probable texts.

        Args:
            probs: float32 T×C, class 0 the blank.
            limit: At most so many.
            but: A text that is not wanted: the one that is reported.

        Returns:
            The texts, the most probable first, each of `LEAST` or more.
        """
        steps = probs.astype(np.float64)
        for keep, drop in self._merged:
            steps[:, keep] += steps[:, drop]
            steps[:, drop] = 0.0
        found: dict[str, Candidate] = {}
        serial = count()
        start = _Prefix((), np.ones(len(self._lengths), bool), *_nothing_read(steps))
        waiting: list[tuple[float, int, str, _Prefix, int]] = []
        self._extend(start, steps, waiting, serial)
        while waiting and len(found) < limit:
            bound, _, text, prefix, last = heapq.heappop(waiting)
            if text:
                if text != but and text not in found:
                    found[text] = Candidate(text, -bound)
                continue
            longer = self._longer(prefix, last, steps)
            if (whole := longer.open[-1]) >= LEAST:
                for one in self._texts(longer):
                    heapq.heappush(waiting, (-whole, next(serial), one, longer, BLANK))
            self._extend(longer, steps, waiting, serial)
        return tuple(found.values())

    def _extend(
        self,
        prefix: _Prefix,
        steps: NDArray[np.float64],
        waiting: list[tuple[float, int, str, _Prefix, int]],
        serial: count[int],
    ) -> None:
        """Puts all prefixes that are longer by one character among those that wait."""
        allowed = self._allowed[prefix.formats, len(prefix.classes)].any(axis=0)
        bounds = np.array(prefix.open[:-1]) @ steps
        if prefix.classes:  # the same character again needs a blank between
            last = prefix.classes[-1]
            bounds[last] = np.array(prefix.blank[:-1]) @ steps[:, last]
        for c in np.flatnonzero(allowed & (bounds >= LEAST)):
            heapq.heappush(waiting, (-float(bounds[c]), next(serial), "", prefix, int(c)))

    def _longer(self, prefix: _Prefix, c: int, steps: NDArray[np.float64]) -> _Prefix:
        """Reads one character more, over all steps."""
        again = bool(prefix.classes) and prefix.classes[-1] == c
        before = prefix.blank if again else prefix.open
        emitted = blank = 0.0
        opens, blanks = [0.0], [0.0]
        for t, (here, gap) in enumerate(zip(steps[:, c].tolist(), steps[:, BLANK].tolist(), strict=True)):
            emitted, blank = (emitted + before[t]) * here, (blank + emitted) * gap
            opens.append(emitted + blank)
            blanks.append(blank)
        formats = prefix.formats & self._allowed[:, len(prefix.classes), c]
        return _Prefix((*prefix.classes, c), formats, opens, blanks)

    def _texts(self, prefix: _Prefix) -> set[str]:
        """Returns the texts that a prefix is in the formats that are as long."""
        whole = prefix.formats & (self._lengths == len(prefix.classes))
        return {
            "".join(at[c] for at, c in zip(self._characters[f], prefix.classes, strict=True))
            for f in np.flatnonzero(whole)
        }


def posterior_of(log_probs: LogProbs) -> Probs:
    """Makes a posterior of the distributions of characters one after the other.

    Args:
        log_probs: float32 L×C natural log-probabilities at each position; the blank's are passed over.

    Returns:
        float32 (2·L − 1)×C, of which the probability of a text of L characters is the product of theirs.
    """
    probs = np.zeros((max(2 * len(log_probs) - 1, 0), log_probs.shape[1]), np.float32)
    probs[1::2, BLANK] = 1.0
    probs[::2] = np.exp(log_probs)
    probs[::2, BLANK] = 0.0
    return probs


def _nothing_read(steps: NDArray[np.float64]) -> tuple[list[float], list[float]]:
    gone = np.concatenate([[1.0], np.cumprod(steps[:, BLANK])]).tolist()
    return gone, gone
