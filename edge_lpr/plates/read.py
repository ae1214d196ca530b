"""What one image or frame showed of one plate."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from edge_lpr.types import LogProbs, Quad

TEXT = "text"
"""The kind of what reads better as no plate at all."""
UNKNOWN_KIND = "unknown"
"""The kind of a plate whose text several kinds share and whose image, a grey one, shows no colour."""


@dataclass(frozen=True)
class Candidate:
    """Another text that a plate may have.

    Attributes:
        text: A text of one of the plate formats.
        score: Its probability, 0 to 1, exactly: of a read what CTC gives it over all its alignments, of an
            event the product of its characters' fused probabilities. Those of all texts that there are, the
            one that is reported among them, add up to 1.
    """

    text: str
    score: float

    def to_dict(self) -> dict[str, Any]:
        """Returns it as plain Python values, as JSON lines have it."""
        return {"text": self.text, "score": rounded(self.score, 4)}


@dataclass(frozen=True, eq=False)
class PlateRead:
    """One plate in one image or frame.

    Attributes:
        text: The plate's characters, without the dot: "皖AD12345".
        kind: The kind of plate, one of `plate_kinds()`; "unknown" where only its colour would tell and there
            is none; "text" for what reads better as no plate at all.
        score: Mean of `char_scores`, 0 to 1.
        min_score: The lowest of `char_scores`: one blurred character hides in a mean.
        char_scores: Probability of each character, 0 to 1, as many as `text` has.
        corners: float32 4×2, top-left, top-right, bottom-right, bottom-left as the plate is read, in source
            pixels.
        det_score: Mean probability of the detector inside the box, 0 to 1.
        log_probs: float32 L×C natural log-probabilities of the recognizer's classes at each character, what
            fusion over frames adds up.
        candidates: Other texts, the most probable first, at most as many as the setting `candidates` asks for
            (none by default).
    """

    text: str
    kind: str
    score: float
    min_score: float
    char_scores: tuple[float, ...]
    corners: Quad
    det_score: float
    log_probs: LogProbs = field(repr=False)
    candidates: tuple[Candidate, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Returns what JSON lines have of it (`edge_lpr.outputs.records.FIELDS`), as plain Python values."""
        return {
            "text": self.text,
            "kind": self.kind,
            "score": rounded(self.score, 4),
            "min_score": rounded(self.min_score, 4),
            "char_scores": [rounded(score, 4) for score in self.char_scores],
            "corners": rounded_corners(self.corners),
            "candidates": [candidate.to_dict() for candidate in self.candidates],
        }


def rounded(value: float | None, digits: int) -> float | None:
    """Returns a number as results show it: of Python's own type; None for None and what is not finite."""
    return round(float(value), digits) if value is not None and math.isfinite(value) else None


def rounded_corners(corners: Quad) -> list[list[float | None]]:
    """Returns corners, float32 4×2, as results show them: to a tenth of a pixel."""
    return [[rounded(v, 1) for v in point] for point in np.asarray(corners, float).tolist()]
