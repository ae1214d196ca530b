"""What a frame shows: a plate's reading. The formats of plates are data, in `assets/plates.json`."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class PlateRead:
    """One plate in one picture or frame.

    Attributes:
        text: The plate's characters, without the dot: "皖AD11166".
        kind: The plate's format, one of `plate_kinds()`; "text" for what reads better as no plate at all.
        score: Mean of `char_scores`, 0 to 1.
        min_score: The lowest of `char_scores`: one blurred character hides in a mean.
        char_scores: Probability of each character, 0 to 1, as many as `text` has.
        corners: float32 4×2, top-left, top-right, bottom-right, bottom-left as the plate is read, in source
            pixels.
        det_score: Mean probability of the detector inside the box, 0 to 1.
        evidence: float32 L×C natural log-probabilities of the recognizer's classes at each character, what
            fusion over frames adds up.
    """

    text: str
    kind: str
    score: float
    min_score: float
    char_scores: tuple[float, ...]
    corners: NDArray[np.float32]
    det_score: float
    evidence: NDArray[np.float32] = field(repr=False)
