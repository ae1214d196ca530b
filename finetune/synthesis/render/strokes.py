"""Letters and digits of Chinese plates as centre lines, drawn for this project after photographs.

The plates' typeface is not published under a free licence. It is plain: one stroke width, a 45×90 mm cell,
round parts made of ellipses, a bare bar for 1. Each glyph is a list of strokes in millimetres within a
34×79 mm box, which leaves half a stroke of 11 mm on every side of the cell.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Points = list[tuple[float, float]]

WIDTH, HEIGHT = 34.0, 79.0


def _arc(cx: float, cy: float, rx: float, ry: float, start: float, stop: float) -> Points:
    """Points of an elliptic arc; angles in degrees, 0 right, 90 down."""
    steps = max(2, int(abs(stop - start) / 12))
    angles = (math.radians(start + (stop - start) * i / steps) for i in range(steps + 1))
    return [(cx + rx * math.cos(a), cy + ry * math.sin(a)) for a in angles]


_ROUND: Points = [*_arc(17, 19, 17, 19, 180, 360), *_arc(17, 60, 17, 19, 0, 180), (0, 19)]
_BOWL: Points = [(0, 79), (0, 0), (15, 0), *_arc(15, 21.5, 19, 21.5, 270, 450), (0, 43)]
_SIX: list[Points] = [[(24, 0), (12, 24), (4, 40), (0, 56)], _arc(17, 56, 17, 23, 0, 360)]
_OPEN: Points = [*_arc(17, 19, 17, 19, 8, -180), *_arc(17, 60, 17, 19, 180, 0)]

STROKES: dict[str, list[Points]] = {
    "0": [_ROUND],
    "1": [[(17, 0), (17, 79)]],
    "2": [[*_arc(17, 18, 17, 18, 185, 385), (26, 38), (0, 79), (34, 79)]],
    "3": [[*_arc(17, 18, 16, 18, 195, 450), *_arc(17, 57.5, 17, 21.5, 270, 525)]],
    "4": [[(21, 0), (0, 57), (34, 57)], [(25, 36), (25, 79)]],
    "5": [[(31, 0), (6, 0), (3, 38), *_arc(16.5, 55, 17.5, 24, 225, 515)]],
    "6": _SIX,
    "7": [[(0, 0), (34, 0), (22, 33), (16, 56), (14, 79)]],
    "8": [_arc(17, 18.5, 15, 18.5, 0, 360), _arc(17, 58, 17, 21, 0, 360)],
    "9": [[(WIDTH - x, HEIGHT - y) for x, y in stroke] for stroke in _SIX],
    "A": [[(0, 79), (17, 0), (34, 79)], [(6, 55), (28, 55)]],
    "B": [
        [(0, 0), (16, 0), *_arc(16, 18.5, 16, 18.5, 270, 450), (0, 37)],
        [(0, 37), (16, 37), *_arc(16, 58, 18, 21, 270, 450), (0, 79), (0, 0)],
    ],
    "C": [[*_OPEN, (34, 56)]],
    "D": [[(0, 0), (14, 0), *_arc(14, 20, 20, 20, 270, 360), *_arc(14, 59, 20, 20, 0, 90), (0, 79), (0, 0)]],
    "E": [[(34, 0), (0, 0), (0, 79), (34, 79)], [(0, 38), (28, 38)]],
    "F": [[(34, 0), (0, 0), (0, 79)], [(0, 38), (28, 38)]],
    "G": [[*_OPEN, (34, 45), (18, 45)]],
    "H": [[(0, 0), (0, 79)], [(34, 0), (34, 79)], [(0, 38), (34, 38)]],
    "I": [[(17, 0), (17, 79)]],
    "J": [[(30, 0), (30, 60), *_arc(15, 60, 15, 19, 0, 170)]],
    "K": [[(0, 0), (0, 79)], [(33, 0), (0, 46)], [(12, 30), (34, 79)]],
    "L": [[(0, 0), (0, 79), (34, 79)]],
    "M": [[(0, 79), (0, 0), (17, 52), (34, 0), (34, 79)]],
    "N": [[(0, 79), (0, 0), (34, 79), (34, 0)]],
    "O": [_ROUND],
    "P": [_BOWL],
    "Q": [_ROUND, [(17, 51), (37, 82)]],
    "R": [_BOWL, [(14, 43), (34, 79)]],
    "S": [[*_arc(17, 19, 16, 19, -10, -235), *_arc(17, 59, 17, 20, -55, 170)]],
    "T": [[(0, 0), (34, 0)], [(17, 0), (17, 79)]],
    "U": [[(0, 0), *_arc(17, 60, 17, 19, 180, 0), (34, 0)]],
    "V": [[(0, 0), (17, 79), (34, 0)]],
    "W": [[(0, 0), (8, 79), (17, 22), (26, 79), (34, 0)]],
    "X": [[(0, 0), (34, 79)], [(34, 0), (0, 79)]],
    "Y": [[(0, 0), (17, 40), (34, 0)], [(17, 40), (17, 79)]],
    "Z": [[(0, 0), (34, 0), (0, 79), (34, 79)]],
}


def strokes(char: str) -> list[NDArray[np.float32]]:
    """The centre lines of a letter or digit.

    Returns:
        Per stroke float32 N×2, x and y in millimetres, 0 to 34 and 0 to 79 but for Q's tail.

    Raises:
        KeyError: For any other character.
    """
    return [np.asarray(stroke, np.float32) for stroke in STROKES[char]]
