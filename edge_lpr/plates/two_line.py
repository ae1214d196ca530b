"""Plates in two rows, as at the back of lorries and coaches: laid out in one row for the recognizer."""

from __future__ import annotations

import cv2
import numpy as np

from edge_lpr.types import Image

TWO_ROW_ASPECT = 2.5
"""Crops narrower than this share of their height may show two rows: such a plate is 440×220 mm, one in a
single row 440×140 mm, and a little more room around it or a slanted view lies between."""


def may_show_two_rows(width: float, height: float) -> bool:
    """Tells whether a plate of such a width and height, in pixels, is high enough for two rows."""
    return width < TWO_ROW_ASPECT * height


# GA 36's 440×220 mm plate as shares of its width and height: the upper row holds 80×60 mm characters at 110
# to 330 mm, the lower one 65×110 mm characters at 27 to 413 mm. A few millimetres of margin on every side.
_UPPER = (0.215, 0.785, 0.035, 0.370)
_LOWER = (0.020, 0.980, 0.375, 0.960)
_UPPER_STRETCH = 65 / 80
"""Makes a character of the upper row as wide as one of the lower."""


def unfold_rows(crop: Image) -> Image:
    """Sets the lower row of a two-row plate to the right of its upper row.

    Args:
        crop: uint8 H×W×3 BGR of the whole plate, upright.

    Returns:
        uint8 h×w×3 BGR with all characters in one line, about as high as the lower row, at least 1×2.
    """
    height, width = crop.shape[:2]

    def cut(region: tuple[float, float, float, float]) -> Image:
        x0, y0 = int(region[0] * width), int(region[2] * height)
        x1, y1 = max(x0 + 1, round(region[1] * width)), max(y0 + 1, round(region[3] * height))
        return crop[y0:y1, x0:x1]

    upper, lower = cut(_UPPER), cut(_LOWER)
    size = (max(1, round(upper.shape[1] * _UPPER_STRETCH)), lower.shape[0])
    return np.asarray(np.hstack([cv2.resize(upper, size, interpolation=cv2.INTER_CUBIC), lower]), np.uint8)
