"""Which colours an image of a plate shows."""

from __future__ import annotations

import cv2
import numpy as np

from edge_lpr.types import Image

# OpenCV's hue runs from 0 to 179. Bounds read off the plates of CCPD and EasyPR.
_HUES = {"yellow": (14, 36), "green": (37, 92), "blue": (93, 130)}


def colour_shares(crop: Image) -> dict[str, float]:
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
