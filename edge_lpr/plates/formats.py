"""What a plate is: its formats, which are data (`assets/plates.json`), and what one frame showed of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

TEXT = "text"

# OpenCV's hue runs from 0 to 179. Bounds read off the plates of CCPD and EasyPR.
_HUES = {"yellow": (14, 36), "green": (37, 92), "blue": (93, 130)}


@dataclass(frozen=True)
class PlateFormat:
    """One format of plates.

    Attributes:
        name: Its name.
        kinds: The kinds of plate that it serves and the colour of each.
        positions: For each position, the characters that may stand there.
    """

    name: str
    kinds: dict[str, str]
    positions: tuple[str, ...]

    def accepts(self, text: str) -> bool:
        """Tells whether a text is a plate of this format."""
        return len(text) == len(self.positions) and all(
            c in allowed for c, allowed in zip(text, self.positions, strict=True)
        )

    def kind(self, crop: NDArray[np.uint8] | None) -> str:
        """Names the kind of a plate of this format; where there are several, by the colour of its image.

        Args:
            crop: uint8 H×W×3 BGR image of the plate, or None.
        """
        kinds = list(self.kinds)
        if len(kinds) == 1 or crop is None:
            return kinds[0]
        shares = colour_shares(crop)
        return max(kinds, key=lambda kind: shares.get(self.kinds[kind], 0.0))


@dataclass(frozen=True, eq=False)
class PlateRead:
    """One plate in one image or frame.

    Attributes:
        text: The plate's characters, without the dot: "皖AD11166".
        kind: The kind of plate, one of `plate_kinds()`; "text" for what reads better as no plate at all.
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
    corners: NDArray[np.float32]
    det_score: float
    log_probs: NDArray[np.float32] = field(repr=False)


@cache
def _knowledge() -> dict[str, Any]:
    data: dict[str, Any] = json.loads(
        (files("edge_lpr") / "assets" / "plates.json").read_text(encoding="utf-8")
    )
    return data


@cache
def plate_formats() -> tuple[PlateFormat, ...]:
    """Returns all formats of `assets/plates.json`."""
    data = _knowledge()
    sets: dict[str, str] = data["sets"]
    return tuple(
        PlateFormat(entry["name"], entry["kinds"], tuple(sets.get(p, p) for p in entry["positions"]))
        for entry in data["formats"]
    )


def homoglyphs() -> tuple[tuple[str, str], ...]:
    """Returns the pairs of characters that share one glyph on plates; no position allows both."""
    return tuple((first, second) for first, second in _knowledge()["homoglyphs"])


def plate_kinds() -> tuple[str, ...]:
    """Returns the kinds of plate, "blue" first."""
    return tuple(dict.fromkeys(kind for plate in plate_formats() for kind in plate.kinds))


def plate_charset() -> tuple[str, ...]:
    """Returns every character that some format has: provinces, digits, letters, then the rest."""
    characters = {c for plate in plate_formats() for allowed in plate.positions for c in allowed}
    provinces = [c for c in plate_formats()[0].positions[0] if c in characters]
    plain = sorted(c for c in characters if c.isascii())
    return (*provinces, *plain, *sorted(characters - set(provinces) - set(plain)))


def colour_shares(crop: NDArray[np.uint8]) -> dict[str, float]:
    """Returns the share of saturated pixels that are blue, green and yellow, each 0 to 1.

    Args:
        crop: uint8 H×W×3 BGR.
    """
    small = cv2.resize(crop, (48, 16), interpolation=cv2.INTER_AREA)
    hue, saturation, value = cv2.split(cv2.cvtColor(small, cv2.COLOR_BGR2HSV))
    coloured = (saturation > 60) & (value > 40)
    return {
        name: float(np.mean(coloured & (hue >= low) & (hue <= high))) for name, (low, high) in _HUES.items()
    }
