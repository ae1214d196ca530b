"""Annotated images: quadrilaterals and labels in readable Chinese, with OpenCV alone.

OpenCV's own text drawing knows no Chinese characters. The glyphs come from an atlas in `assets/`, which
`finetune/synthesis/glyphs.py` rasterises from a subset of Noto Sans CJK, so that no font library is needed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

import cv2
import numpy as np

from edge_lpr.plates import PlateRead
from edge_lpr.plates.read import TEXT
from edge_lpr.types import Color, Image, Mask

__all__ = ["draw_reads", "draw_text", "text_mask"]

PLATE_COLOR: Color = (80, 220, 40)
"""Outline of a plate."""
FREE_TEXT_COLOR: Color = (160, 160, 160)
"""Outline of text that is no plate."""
LABEL_BACKGROUND: Color = (32, 28, 24)
LABEL_COLOR: Color = (255, 255, 255)
MISSING_GLYPH = "□"
"""Stands for a character that the atlas lacks."""


@cache
def _atlas() -> dict[str, Mask]:
    """Returns the coverage of each character, all of one height."""
    assets = files("edge_lpr") / "assets"
    metrics = json.loads((assets / "glyphs.json").read_text(encoding="utf-8"))
    data = np.frombuffer((assets / "glyphs.png").read_bytes(), np.uint8)
    sheet = np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)
    return {char: sheet[y : y + h, x : x + w] for char, (x, y, w, h) in metrics["glyphs"].items()}


def text_mask(text: str, height: int) -> Mask:
    """Rasterises one line of text.

    Args:
        text: Plate characters, provinces and printable ASCII; anything else becomes a box.
        height: Height of the line in pixels, at least 1.

    Returns:
        uint8 height×W coverage, 255 where the ink is; W is at least 1.
    """
    glyphs = _atlas()
    line = [glyphs.get(char, glyphs[MISSING_GLYPH]) for char in text]
    if not line:
        return np.zeros((height, 1), np.uint8)
    mask = np.hstack(line)
    width = max(1, round(mask.shape[1] * height / mask.shape[0]))
    method = cv2.INTER_AREA if height < mask.shape[0] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(mask, (width, height), interpolation=method), np.uint8)


def draw_text(image: Image, text: str, origin: tuple[int, int], height: int) -> None:
    """Writes a line of white text on a dark box into an image, in place; what lies outside is clipped.

    Args:
        image: uint8 H×W×3 BGR.
        text: The line.
        origin: x and y of the box's top left corner, in pixels; may lie outside the image.
        height: Height of the line in pixels; the box is a sixth of it wider on either side.
    """
    pad = max(1, height // 6)
    mask = np.pad(text_mask(text, height), ((0, 0), (pad, pad)))
    x, y = origin
    x0, y0 = max(0, x), max(0, y)
    x1, y1 = min(image.shape[1], x + mask.shape[1]), min(image.shape[0], y + mask.shape[0])
    if x0 >= x1 or y0 >= y1:
        return
    region = image[y0:y1, x0:x1]
    alpha = mask[y0 - y : y1 - y, x0 - x : x1 - x, None] / np.float32(255)
    box = region * np.float32(0.2) + np.asarray(LABEL_BACKGROUND, np.float32) * np.float32(0.8)
    region[:] = (box * (1 - alpha) + np.asarray(LABEL_COLOR, np.float32) * alpha + 0.5).astype(np.uint8)


def draw_reads(image: Image, reads: Sequence[PlateRead]) -> None:
    """Draws each plate's outline and a label with its text, kind and score, in place.

    Line width and letter size follow the image. A label stands above its plate, below it where there is no
    room above, and is moved sideways to stay inside the image.

    Args:
        image: uint8 H×W×3 BGR, at least 1×1.
        reads: Plates with corners in this image's pixels; one without a text gets no label.
    """
    height, width = image.shape[:2]
    thickness = max(1, round(min(height, width) / 360))
    line = int(np.clip(min(height, width) / 26, 14, 72))
    for read in reads:
        color = _color(read)
        corners = np.clip(np.round(read.corners), -(2**15), 2**15).astype(np.int32)
        cv2.polylines(image, [corners], True, color, thickness, cv2.LINE_AA)
    # Labels after all outlines, so that no neighbour's outline strikes through a text.
    for read in reads:
        if not read.text:
            continue
        color = _color(read)
        label = f"{read.text} {read.kind} {read.score:.0%}"
        label_width = text_mask(label, line).shape[1] + 2 * max(1, line // 6)
        left, top = (float(v) for v in read.corners.min(axis=0))
        bottom = float(read.corners[:, 1].max())
        y = top - line - 2 * thickness
        if y < 0:
            y = min(bottom + 2 * thickness, height - line)
        x = float(np.clip(left, 0, max(0, width - label_width)))
        draw_text(image, label, (int(x), int(np.clip(y, -line, height))), line)
        underline = int(np.clip(y, -line, height)) + line
        cv2.line(image, (int(x), underline), (int(x) + label_width - 1, underline), color, thickness)


def _color(read: PlateRead) -> Color:
    return FREE_TEXT_COLOR if read.kind == TEXT else PLATE_COLOR
