"""Which way a vehicle goes, by where its plate was first and last."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_lpr.geometry import area_and_perimeter
from edge_lpr.serve.record import Direction
from edge_lpr.serve.settings import CameraSettings
from edge_lpr.types import Quad, Size

__all__ = ["direction_of"]

_Points = NDArray[np.floating[Any]]
# A plate has to become so much larger or smaller, as corners are found a tenth of its height off.
_GROWTH = 1.25


def direction_of(camera: CameraSettings, first: Quad, last: Quad, frame: Size | None) -> Direction:
    """Says which way a plate has gone.

    Args:
        camera: Says by what that is told.
        first: float32 4×2 corners where the plate was first, in pixels of the frame.
        last: Where it was last.
        frame: The frame's height and width, in pixels; None where no frame is known.

    Returns:
        "in" or "out"; "" where it has not gone far enough to tell, or nobody asks.
    """
    if camera.direction == "size":
        growth = _size(last) / max(_size(first), 1e-6)
        way = growth if growth >= _GROWTH else -1.0 if growth <= 1 / _GROWTH else 0.0
    elif camera.direction == "line" and camera.line is not None and frame is not None:
        way = _crossing(np.array(camera.line) * frame[::-1], first.mean(axis=0), last.mean(axis=0))
    else:
        way = 0.0
    if not way:
        return ""
    return "in" if (way > 0) != camera.reverse else "out"


def _size(corners: Quad) -> float:
    """Returns the square root of a plate's area, in pixels: turned or tilted, it stays as large."""
    return math.sqrt(area_and_perimeter(corners)[0])


def _crossing(line: _Points, start: _Points, end: _Points) -> float:
    """Returns above 0 for a way that crosses a line to its right, below for the left, and 0 for none.

    Args:
        line: float 2×2, from one point to the other, in pixels.
        start: Where the way begins, x and y.
        end: Where it ends.
    """
    before, after = _side(line[0], line[1], start), _side(line[0], line[1], end)
    beside = _side(start, end, line[0]) * _side(start, end, line[1]) > 0
    return 0.0 if beside or before * after >= 0 else after


def _side(start: _Points, end: _Points, point: _Points) -> float:
    """Returns how far right of the way from one point to another a third is, as seen on the screen."""
    (x1, y1), (x2, y2), (x, y) = start, end, point
    return float((x2 - x1) * (y - y1) - (y2 - y1) * (x - x1))
