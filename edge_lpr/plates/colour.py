"""Which colours an image of a plate shows."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np

from edge_lpr.plates.kind import PlateColour, PlateKind
from edge_lpr.plates.registry import KINDS
from edge_lpr.types import Image


def plate_colours() -> dict[str, PlateColour]:
    """Returns how the colours of the registered kinds show in photographs, by name."""
    return _colours(tuple(KINDS))


@lru_cache(maxsize=8)
def _colours(kinds: tuple[PlateKind, ...]) -> dict[str, PlateColour]:
    return {kind.colour: kind.in_photos for kind in kinds if kind.in_photos is not None}


def colour_shares(crop: Image) -> dict[str, float]:
    """Returns the share of saturated pixels of each colour that has hues (blue, green, yellow), 0 to 1.

    Args:
        crop: uint8 H×W×3 BGR.
    """
    small = cv2.resize(crop, (48, 16), interpolation=cv2.INTER_AREA)
    hue, saturation, value = cv2.split(cv2.cvtColor(small, cv2.COLOR_BGR2HSV))
    coloured = (saturation > 60) & (value > 40)
    hues = {name: colour.hues for name, colour in plate_colours().items() if colour.hues is not None}
    return {
        name: float(np.mean(coloured & (hue >= low) & (hue <= high))) for name, (low, high) in hues.items()
    }
