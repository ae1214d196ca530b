"""What one image or frame showed of one plate."""

from __future__ import annotations

from dataclasses import dataclass, field

from edge_lpr.types import LogProbs, Quad

TEXT = "text"
"""The kind of what reads better as no plate at all."""
UNKNOWN_KIND = "unknown"
"""The kind of a plate whose text several kinds share and whose image, a grey one, shows no colour."""


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
    """

    text: str
    kind: str
    score: float
    min_score: float
    char_scores: tuple[float, ...]
    corners: Quad
    det_score: float
    log_probs: LogProbs = field(repr=False)
