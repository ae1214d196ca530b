"""The four corners of a plate in a detector's map: a plate seen from the side is no rectangle.

A contour is coarse: the ends of a small plate are a few pixels high in the map, and a side that is drawn
through two of them leans by ten degrees where the plate is upright. So a side leans as the least-squares line
through all of its pixels does. Both ends lean alike, since a plate is too low for its distance to show them
otherwise, while its long sides may converge; and ends of few pixels are held at a right angle to the long
sides. Then each side is moved out until the whole contour lies inside: an upright plate gets its rectangle.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_lpr.geometry import area_and_perimeter
from edge_lpr.types import Quad

__all__ = ["enclosing_quad", "grow_quad", "order_corners"]

RIGHT_ANGLE = 25.0
"""How much the right angle between ends and long sides weighs, in square pixels of the map.

It is set against the spread of the ends' pixels, the sum of their squared distances from each end's middle:
two ends of 5 pixels weigh about as much, two of 12 ten times as much. In theory it is the variance of a
pixel's place over that of the slope of plates' ends; corners are as good from 10 to 100.
"""
# Points go to the line that lies nearest, which changes as the lines do; by then it does no more.
_ROUNDS = 3
# One minus the product of two lines' slopes, each off its own axis: 0 where they are parallel.
_LEAST_TURN = 0.1
_PARALLEL = 1e-9


def enclosing_quad(contour: NDArray[Any]) -> Quad | None:
    """Fits a quadrilateral around a contour.

    Args:
        contour: N×1×2 or N×2 points, in pixels, every pixel of it (`cv2.CHAIN_APPROX_NONE`).

    Returns:
        float32 4×2 corners, top-left, top-right, bottom-right, bottom-left; None where the contour has no
        area, or its sides no corners.
    """
    flat = contour.reshape(-1, 2).astype(np.float32)
    centre, size, degrees = cv2.minAreaRect(flat)
    if min(size) == 0:
        return None
    angle, half = np.radians(degrees), np.array(size) / 2
    axes = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    if half[0] < half[1]:
        axes, half = axes[::-1], half[::-1]
    x, y = axes @ (flat - centre).T
    # Four lines, across = at + slope × along: the two long sides, y by x, and the two ends, x by y.
    along, across = np.stack([x, x, y, y]), np.stack([y, y, x, x])
    at, slope = np.array([-half[1], half[1], -half[0], half[0]]), np.zeros(4)
    for _ in range(_ROUNDS):
        at, slope = _fit(along, across, at, slope)
    off = across - slope[:, None] * along
    at = np.where([True, False, True, False], off.min(axis=1), off.max(axis=1))
    long, end = [0, 0, 1, 1], [2, 3, 3, 2]
    turn = 1 - slope[long] * slope[end]
    if turn.min() < _LEAST_TURN:
        return None
    corner_x = (at[end] + slope[end] * at[long]) / turn
    corners = np.stack([corner_x, at[long] + slope[long] * corner_x], axis=1)
    return order_corners(corners @ axes + centre)


def _fit(
    along: NDArray[np.float64],
    across: NDArray[np.float64],
    at: NDArray[np.float64],
    slope: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fits each of the four lines to the points, 4×N, that lie nearest to it; returns places and slopes."""
    distance = np.abs(across - at[:, None] - slope[:, None] * along) / np.hypot(1, slope)[:, None]
    mine = (distance.argmin(axis=0) == np.arange(4)[:, None]).astype(np.float64)
    count = np.maximum(mine.sum(axis=1), 1)
    middle, height = (mine * along).sum(axis=1) / count, (mine * across).sum(axis=1) / count
    from_middle = mine * (along - middle[:, None])
    spread = (from_middle**2).sum(axis=1)
    joint = (from_middle * (across - height[:, None])).sum(axis=1)
    slopes = joint / np.maximum(spread, 1e-9)
    right_angle = -joint[:2].sum() / max(spread[:2].sum(), 1e-9)
    slopes[2:] = (joint[2:].sum() + RIGHT_ANGLE * right_angle) / (spread[2:].sum() + RIGHT_ANGLE)
    return np.where(mine.any(axis=1), height - slopes * middle, at), slopes


def _meeting(
    start: NDArray[np.float64],
    direction: NDArray[np.float64],
    other: NDArray[np.float64],
    other_direction: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Returns where lines meet, N×2; of parallel lines, the first one's start."""
    across = _cross(direction, other_direction)
    parallel = np.abs(across) <= _PARALLEL
    along = np.where(parallel, 0.0, _cross(other - start, other_direction) / np.where(parallel, 1.0, across))
    return start + along[:, None] * direction


def _cross(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


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
    return _meeting(start, direction, moved, side).astype(np.float32)


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
