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
    across = first[:, 0] * second[:, 1] - first[:, 1] * second[:, 0]
    gap = end - points
    with np.errstate(divide="ignore", invalid="ignore"):
        along = (gap[:, 0] * second[:, 1] - gap[:, 1] * second[:, 0]) / across
        corner = points + along[:, None] * first
        added = np.abs(gap[:, 0] * (corner - points)[:, 1] - gap[:, 1] * (corner - points)[:, 0]) / 2
    possible = (np.abs(across) > _PARALLEL) & (along > 0)
    return np.where(possible, added, np.inf), corner


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
    across = direction[:, 0] * side[:, 1] - direction[:, 1] * side[:, 0]
    gap = moved - start
    across = np.where(np.abs(across) < _PARALLEL, 1.0, across)
    along = (gap[:, 0] * side[:, 1] - gap[:, 1] * side[:, 0]) / across
    return (start + along[:, None] * direction).astype(np.float32)


def order_corners(points: NDArray[Any]) -> Quad:
    """Orders the corners of a convex quadrilateral: clockwise on the screen, from the top left one.

    The first side is the one that reads as the plate's upper edge: of the two longer opposite sides the upper
    one, where the quadrilateral is wider than high on the screen.

    Args:
        points: 4×2 corners in either direction, from any.

    Returns:
        float32 4×2.
    """
    quad = np.asarray(points, np.float64)
    following = np.roll(quad, -1, axis=0)
    if float(np.sum(quad[:, 0] * following[:, 1] - following[:, 0] * quad[:, 1])) < 0:
        quad = quad[::-1]
    # The direction of a side that runs rightwards most is that of the upper edge.
    side = np.roll(quad, -1, axis=0) - quad
    first = int(np.argmax(side[:, 0] - np.abs(side[:, 1]) * 1e-6))
    return np.roll(quad, -first, axis=0).astype(np.float32)
