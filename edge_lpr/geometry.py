"""Quadrilaterals in the plane: sides, overlap, and the image inside of one.

A quadrilateral is float32 4×2, the corners top-left, top-right, bottom-right, bottom-left as the plate is
read, x to the right and y down, in pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_lpr.types import Image, Quad

TALL = 1.5
"""PaddleOCR turns a crop that is this much taller than wide: text that runs down."""
MAX_CROP_SIDE = 2048
"""No side of a crop is made longer than this, in pixels: many times what the recognizer sees of it."""


def whole(image: Image) -> Quad:
    """Returns the corners of a whole image, uint8 H×W×3."""
    height, width = image.shape[:2]
    return np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)


def side_lengths(quad: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Returns the lengths of the upper, right, lower and left side, in pixels."""
    sides: NDArray[np.floating[Any]] = np.linalg.norm(np.roll(quad, -1, axis=0) - quad, axis=1)
    return sides


def area_and_perimeter(polygon: NDArray[Any]) -> tuple[float, float]:
    """Returns area (shoelace formula) and perimeter of a K×2 polygon, in square pixels and pixels."""
    points = polygon.astype(np.float64)
    following = np.roll(points, -1, axis=0)
    area = abs(float(np.sum(points[:, 0] * following[:, 1] - following[:, 0] * points[:, 1]))) / 2
    return area, float(np.hypot(*(following - points).T).sum())


def is_clockwise_convex(quad: Quad) -> bool:
    """Tells whether a quadrilateral is strictly convex and runs clockwise on the screen.

    One that runs the other way would show its plate mirrored, whichever corner it starts from.
    """
    side = np.roll(quad, -1, axis=0) - quad
    following = np.roll(side, -1, axis=0)
    turn = side[:, 0] * following[:, 1] - side[:, 1] * following[:, 0]
    return bool(np.isfinite(quad).all() and (turn > 0).all())


def is_simple(quad: Quad) -> bool:
    """Tells whether a quadrilateral has an area and no two of its sides cross or touch but at their ends.

    What shapely calls valid: a corner may bend inwards, and corners that follow each other may be the same.
    """
    points = [
        p for p, before in zip(quad, np.roll(quad, 1, axis=0), strict=True) if not np.array_equal(p, before)
    ]
    if len(points) < 3 or not area_and_perimeter(np.array(points))[0]:
        return False
    return len(points) == 3 or not any(
        _touch(points[i - 1], points[i], points[i + 1], points[i - 2]) for i in (0, 1)
    )


def _touch(a: NDArray[Any], b: NDArray[Any], c: NDArray[Any], d: NDArray[Any]) -> bool:
    """Tells whether the segments ab and cd have a point in common."""
    if (np.minimum(a, b) > np.maximum(c, d)).any() or (np.minimum(c, d) > np.maximum(a, b)).any():
        return False
    return _side(a, b, c) * _side(a, b, d) <= 0 and _side(c, d, a) * _side(c, d, b) <= 0


def _side(a: NDArray[Any], b: NDArray[Any], p: NDArray[Any]) -> float:
    """Returns where a point lies: the sign of what the corner a, b, p turns by."""
    (ax, ay), (bx, by), (px, py) = (v.astype(np.float64).tolist() for v in (a, b, p))
    return float(np.sign((bx - ax) * (py - ay) - (by - ay) * (px - ax)))


def convex_parts(quad: Quad) -> list[NDArray[np.float32]]:
    """Cuts a simple quadrilateral into convex polygons, float32 K×2: itself, or two triangles."""
    hull = convex_hull(quad)
    if len(hull) == 4:
        return [hull]
    # Only along the diagonal from that corner do the two triangles have the quadrilateral's area together.
    cuts = [[np.roll(quad, -i, axis=0)[rows] for rows in ([0, 1, 2], [0, 2, 3])] for i in (0, 1)]
    triangles = min(cuts, key=lambda parts: sum(area_and_perimeter(part)[0] for part in parts))
    return [convex_hull(part) for part in triangles if area_and_perimeter(part)[0]]


def bounding_box_iou(first: Quad, second: Quad) -> float:
    """Returns the intersection over union of the upright boxes around two quadrilaterals, 0 to 1."""
    low = np.maximum(first.min(axis=0), second.min(axis=0))
    high = np.minimum(first.max(axis=0), second.max(axis=0))
    shared = float(np.prod(np.maximum(high - low, 0)))
    areas = sum(float(np.prod(c.max(axis=0) - c.min(axis=0))) for c in (first, second))
    return shared / (areas - shared) if areas > shared else 0.0


def convex_hull(quad: Quad) -> NDArray[np.float32]:
    """Returns the hull of a quadrilateral, float32 K×2: one whose corners cross still has an area."""
    return cast("NDArray[np.float32]", cv2.convexHull(np.asarray(quad, np.float32)).reshape(-1, 2))


def overlap_area(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Returns the area that two convex polygons, float32 K×2 each, have in common, in square pixels."""
    # OpenCV computes in float32, which far from the origin has few digits left for an area.
    origin = first.min(axis=0)
    area, _ = cv2.intersectConvexConvex(first - origin, second - origin)
    return float(area)


def iou_matrix(labelled: Sequence[Quad], found: Sequence[Quad]) -> NDArray[np.float64]:
    """Returns the intersections over unions of the hulls of quadrilaterals, float64 L×F, 0 to 1."""
    truths, boxes = [convex_hull(q) for q in labelled], [convex_hull(q) for q in found]
    matrix = np.zeros((len(truths), len(boxes)))
    for i, a in enumerate(truths):
        for j, b in enumerate(boxes):
            shared = overlap_area(a, b)
            union = area_and_perimeter(a)[0] + area_and_perimeter(b)[0] - shared
            matrix[i, j] = shared / union if union > 0 else 0.0
    return matrix


def crop_quad(image: Image, quad: Quad) -> Image:
    """Cuts a quadrilateral out and straightens it, as PaddleOCR's `get_rotate_crop_image` does.

    Args:
        image: uint8 H×W×3 BGR.
        quad: float32 4×2 corners, in the image's pixels.

    Returns:
        uint8 h×w×3, as wide and high as the quadrilateral's longer opposite sides; turned a quarter
        anticlockwise where it is at least 1.5 times as high as wide.
    """
    top, right, bottom, left = side_lengths(quad)
    width = int(np.clip(max(top, bottom), 1, MAX_CROP_SIDE))
    height = int(np.clip(max(right, left), 1, MAX_CROP_SIDE))
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    matrix = cv2.getPerspectiveTransform(np.ascontiguousarray(quad, np.float32), target)
    crop = cv2.warpPerspective(
        image, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    if height >= TALL * width:
        crop = np.ascontiguousarray(np.rot90(crop))
    return cast("Image", crop)
