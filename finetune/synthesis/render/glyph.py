"""The plate renderer's glyphs: each character in a 45×90 mm cell, with one stroke width throughout.

Letters and digits come from our own centre lines (`strokes`) or from thin fonts, Chinese characters from a
thin font; thin glyphs are stretched to the cell and thickened there. `synthesis.glyphs` makes their atlas.
"""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from edge_lpr.finetune.synthesis.render import strokes
from edge_lpr.types import Mask

SCALE = 1.6
"""Pixels per millimetre at which glyphs are prepared."""
CELL = (45, 90)
"""Character cell of a one-row plate, width and height in millimetres."""

WEIGHTS = 5
_LATIN_MM = (6.75, 8.0, 9.25, 10.5, 11.75)
_HANZI_FILL = (0.30, 0.36, 0.42, 0.48, 0.54)
_DENSE = "MW"
"""Letters with four strokes side by side, which are a little finer."""


@lru_cache(maxsize=1)
def _atlas() -> dict[str, dict[str, Mask]]:
    """Thin glyphs of the committed atlas, per font and character."""
    folder = Path(__file__).parents[2] / "assets"
    metrics = json.loads((folder / "glyphs.json").read_text(encoding="utf-8"))
    data = np.frombuffer((folder / "glyphs.png").read_bytes(), np.uint8)
    sheet = np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)
    return {
        font: {char: sheet[y : y + h, x : x + w] for char, (x, y, w, h) in chars.items()}
        for font, chars in metrics["fonts"].items()
    }


def latin_fonts() -> list[str]:
    """Names of the fonts for letters and digits."""
    return ["strokes", *(name for name, chars in _atlas().items() if "A" in chars)]


@lru_cache(maxsize=4096)
def glyph(char: str, font: str, weight: int) -> Mask:
    """One character, filling a 45×90 mm cell with one stroke width.

    Args:
        char: A letter, digit, province or ending.
        font: One of `latin_fonts()`; Chinese characters always come from the same font.
        weight: 0 to `WEIGHTS` − 1.

    Returns:
        uint8 144×72 coverage (`CELL` times `SCALE`).
    """
    width, height = round(CELL[0] * SCALE), round(CELL[1] * SCALE)
    latin = char.isascii()
    if latin and font == "strokes":
        stroke = _LATIN_MM[weight] * SCALE * (0.85 if char in _DENSE else 1.0)
        cell = np.zeros((height * 2, width * 2), np.uint8)
        for line in strokes.strokes(char):
            box = np.array([(width - stroke) / strokes.WIDTH, (height - stroke) / strokes.HEIGHT])
            points = np.round((line * box + stroke / 2) * 2 * 16).astype(np.int32)
            cv2.polylines(cell, [points], False, 255, max(1, round(stroke * 2)), cv2.LINE_AA, shift=4)
        return np.asarray(cv2.resize(cell, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    thin = _atlas()[font if latin else "hei"][char]
    if latin:
        stroke = _LATIN_MM[weight] * SCALE * (0.85 if char in _DENSE else 1.0)
        # A bar does not fill the cell; everything else does.
        share = 0.4 if char in "1I" else 1.0
    else:
        # The more strokes, the finer: the ink covers the same share of the cell for 川 and for 藏.
        length = float((thin > 100).sum()) / 3 * (height / thin.shape[0] + width / thin.shape[1]) / 2
        stroke = float(np.clip(_HANZI_FILL[weight] * width * height / length, 4.2 * SCALE, 8.5 * SCALE))
        share = 1.0
    grow = max(1, round(stroke - 3))
    inner = (max(2, round(width * share) - grow), height - grow)
    small = cv2.resize(thin, inner, interpolation=cv2.INTER_AREA)
    small = np.minimum(small.astype(np.float32) * 1.6, 255).astype(np.uint8)
    cell = np.zeros((height, width), np.uint8)
    x, y = (width - inner[0]) // 2, (height - inner[1]) // 2
    cell[y : y + inner[1], x : x + inner[0]] = small
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (grow, grow))
    return np.asarray(cv2.dilate(cell, kernel), np.uint8)
