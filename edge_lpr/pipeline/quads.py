"""The four corners of a plate in a detector's map: a plate seen from the side is no rectangle.

A contour's convex hull is reduced to four sides by removing, again and again, the side whose removal adds the
least area: its two neighbours are prolonged until they meet. The quadrilateral that is left encloses the hull
as tightly as such steps can, and its sides lie on sides of the hull, which is what a plate's edges make.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_lpr.geometry import area_and_perimeter
from edge_lpr.types import Quad

__all__ = ["MAX_GROWTH", "enclosing_quad", "grow_quad", "order_corners"]

MAX_GROWTH = 1.6
"""A quadrilateral of more than this many times the hull's area is none: the contour has a tail."""
_PARALLEL = 1e-9


def enclosing_quad(contour: NDArray[Any]) -> Quad | None:
    """Reduces a contour to the quadrilateral around it.

    Args:
        contour: N×1×2 or N×2 points, in pixels, as `cv2.findContours` returns them.

    Returns:
        float32 4×2 corners, top-left, top-right, bottom-right, bottom-left; None where the hull has no area,
        or no quadrilateral lies close around it.
    """
    hull = cv2.convexHull(contour.reshape(-1, 1, 2)).reshape(-1, 2).astype(np.float64)
    area, _ = area_and_perimeter(hull)
    if len(hull) < 4 or area <= 0:
        return None
    points = hull
    while len(points) > 4:
        added, corner = _removals(points)
        best = int(np.argmin(added))
        if not np.isfinite(added[best]):
            return None
        # Side `best` runs from point `best` to the next; both give way to where its neighbours meet.
        points[best] = corner[best]
        points = np.delete(points, (best + 1) % len(points), axis=0)
    if area_and_perimeter(points)[0] > MAX_GROWTH * area:
        return None
    return order_corners(points)


def _removals(points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns what the removal of each side adds to the area, and the corner that it would leave.

    The two neighbours of a side meet on its outer side where the angles at its ends turn by less than a half
    turn together; else its removal is impossible, and adds an infinite area.
    """
    before, after = np.roll(points, 1, axis=0), np.roll(points, -2, axis=0)
    end = np.roll(points, -1, axis=0)
    first, second = points - before, end - after
    along, corner = _meeting(points, first, end, second)
    added = np.abs(_cross(end - points, corner - points)) / 2
    return np.where(along > 0, added, np.inf), corner


def _cross(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


def _meeting(
    start: NDArray[np.float64],
    direction: NDArray[np.float64],
    other: NDArray[np.float64],
    other_direction: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns where lines meet, N×2, and how many times its direction each lies from its start.

    Parallel lines do not: the start stands for their meeting, 0 times the direction away.
    """
    across = _cross(direction, other_direction)
    parallel = np.abs(across) <= _PARALLEL
    along = np.where(parallel, 0.0, _cross(other - start, other_direction) / np.where(parallel, 1.0, across))
    return along, start + along[:, None] * direction


def grow_quad(quad: Quad, ratio: float) -> Quad:
    """Moves each side outwards by area × ratio / perimeter, as DB shrank its labels, with mitred corners.

    Args:
        quad: float32 4×2 corners, clockwise on the screen.
        ratio: PP-OCR's `unclip_ratio`.

    Returns:
        float32 4×2 corners.
    """
    points = quad.astype(np.float64)
    area, perimeter = area_and_perimeter(points)
    if perimeter == 0:
        return quad
    side = np.roll(points, -1, axis=0) - points
    side /= np.maximum(np.linalg.norm(side, axis=1, keepdims=True), 1e-12)
    # y points down, so that the outside of a clockwise side is on its left.
    outwards = np.stack([side[:, 1], -side[:, 0]], axis=1)
    moved = points + outwards * (area * ratio / perimeter)
    # Each corner is where the moved side before it meets the moved side after it.
    start, direction = np.roll(moved, 1, axis=0), np.roll(side, 1, axis=0)
    return _meeting(start, direction, moved, side)[1].astype(np.float32)


def order_corners(points: NDArray[Any]) -> Quad:
    """Orders the corners of a convex quadrilateral: clockwise on the screen, from the top left one.

    The first side, taken for the plate's upper edge, is the one that runs furthest to the right.

    Args:
        points: 4×2 corners in either direction, from any.

    Returns:
        float32 4×2.
    """
    quad = np.asarray(points, np.float64)
    following = np.roll(quad, -1, axis=0)
    if float(np.sum(quad[:, 0] * following[:, 1] - following[:, 0] * quad[:, 1])) < 0:
        quad = quad[::-1]
    first = int(np.argmax(np.roll(quad, -1, axis=0)[:, 0] - quad[:, 0]))
    return np.roll(quad, -first, axis=0).astype(np.float32)
