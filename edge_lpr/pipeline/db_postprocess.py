"""DB post-processing: from a probability map to boxes, with PP-OCR's parameters by their names.

Each box is PP-OCR's smallest rotated rectangle, and beside it the quadrilateral of the same contour
(`edge_lpr.pipeline.quads`): a plate that is seen from the side is sheared. Rectangles agree with PaddleOCR
2.10.0's `DBPostProcess` (its box type "quad") on the same probability map. The method is that of M. Liao et
al., "Real-time Scene Text Detection with Differentiable Binarization", AAAI 2020.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import pyclipper
from numpy.typing import NDArray

from edge_lpr.geometry import area_and_perimeter, is_clockwise_convex
from edge_lpr.pipeline.network_output import ProbabilityMap
from edge_lpr.pipeline.quads import enclosing_quad, grow_quad
from edge_lpr.pipeline.settings import DetectorSettings
from edge_lpr.types import ByteMap, FloatMap, Quad

# DBPostProcess drops boxes whose shorter side is under this many pixels of the map, 2 more once unclipped.
MIN_SIZE = 3


@dataclass(frozen=True, eq=False)
class Box:
    """One box of the detector.

    Attributes:
        rectangle: float32 4×2, top-left, top-right, bottom-right, bottom-left, in whole source pixels: the
            smallest rotated rectangle around the text, as PaddleOCR has it.
        quad: float32 4×2 likewise, in source pixels: the quadrilateral around the text; None where there is
            none, or rectangles were asked for.
        score: Mean probability inside, 0 to 1.
    """

    rectangle: Quad
    quad: Quad | None
    score: float

    @property
    def corners(self) -> Quad:
        """The text's own corners, as far as they are known: float32 4×2, in source pixels."""
        return self.rectangle if self.quad is None else self.quad

    def outlines(self) -> tuple[Quad, ...]:
        """The outlines that the text may be cut out along, the quadrilateral first."""
        return (self.rectangle,) if self.quad is None else (self.quad, self.rectangle)


def db_boxes(prob: ProbabilityMap | FloatMap, settings: DetectorSettings, size: tuple[int, ...]) -> list[Box]:
    """Reads boxes off a DB probability map: rectangles as PaddleOCR's `DBPostProcess` has them, and quads.

    Args:
        prob: The map and where it is over the settings' threshold; or float32 H×W, 0 to 1, which is compared.
        settings: The post-processing parameters.
        size: Height and width of the source image, in pixels: what the boxes are scaled to.

    Returns:
        The boxes, in the order in which OpenCV finds the contours.
    """
    found = prob if isinstance(prob, ProbabilityMap) else ProbabilityMap.compared(prob, settings.thresh)
    height, width = found.values.shape
    bitmap = found.above
    if settings.use_dilation:
        bitmap = cv2.dilate(bitmap, np.ones((2, 2), np.uint8)).astype(np.uint8)
    contours, _ = cv2.findContours(bitmap, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    scale = np.array([size[1] / width, size[0] / height])
    limit = np.array([size[1], size[0]])
    boxes: list[Box] = []
    for contour in contours[: settings.max_candidates]:
        quad, side = _min_area_quad(contour)
        if side < MIN_SIZE:
            continue
        inside = quad if settings.score_mode == "fast" else contour.reshape(-1, 2).astype(np.float32)
        score = _mean_inside(found.values, inside) * found.unit
        if score < settings.box_thresh:
            continue
        grown = unclip(quad, settings.unclip_ratio)
        if grown is None:
            continue
        quad, side = _min_area_quad(grown)
        if side < MIN_SIZE + 2:
            continue
        rectangle = np.clip(np.round(quad * scale), 0, limit).astype(np.float32)
        own = _own_corners(contour, settings, scale) if settings.box_type == "quad" else None
        boxes.append(Box(rectangle, own, score))
    return boxes


def _own_corners(
    contour: NDArray[Any], settings: DetectorSettings, scale: NDArray[np.float64]
) -> Quad | None:
    quad = enclosing_quad(contour)
    if quad is None:
        return None
    # A contour runs through the middles of pixels.
    own = ((grow_quad(quad, settings.unclip_ratio) + 0.5) * scale).astype(np.float32)
    return own if is_clockwise_convex(own) else None


def unclip(quad: Quad, ratio: float) -> NDArray[np.int32] | None:
    """Grows a polygon by area × ratio / perimeter (Vatti clipping, round joins), as DB shrank its labels.

    Args:
        quad: float32 K×2 corners, in pixels of the map.
        ratio: PP-OCR's `unclip_ratio`.

    Returns:
        int32 M×1×2 polygon, or None where the growth gives none or more than one.
    """
    area, perimeter = area_and_perimeter(quad)
    if perimeter == 0:
        return None
    offset = pyclipper.PyclipperOffset()
    offset.AddPath(quad.astype(np.int64).tolist(), pyclipper.JT_ROUND, pyclipper.ET_CLOSEDPOLYGON)
    grown = offset.Execute(area * ratio / perimeter)
    if len(grown) != 1:
        return None
    return np.array(grown[0], np.int32).reshape(-1, 1, 2)


def _min_area_quad(contour: NDArray[Any]) -> tuple[Quad, float]:
    """Returns the smallest rotated rectangle, tl-tr-br-bl, and its shorter side in pixels."""
    rectangle = cv2.minAreaRect(contour)
    points = np.asarray(cv2.boxPoints(rectangle), np.float32)
    points = points[np.argsort(points[:, 0], kind="stable")]
    left, right = points[:2], points[2:]
    # Strict comparisons: on a tie the order of x decides, as in DBPostProcess.
    top_left, bottom_left = (left[0], left[1]) if left[1, 1] > left[0, 1] else (left[1], left[0])
    top_right, bottom_right = (right[0], right[1]) if right[1, 1] > right[0, 1] else (right[1], right[0])
    return np.stack([top_left, top_right, bottom_right, bottom_left]), float(min(rectangle[1]))


def _mean_inside(prob: FloatMap | ByteMap, polygon: Quad) -> float:
    """Returns the mean of the map inside a polygon given in the map's pixels."""
    height, width = prob.shape
    x0, y0 = np.clip(np.floor(polygon.min(axis=0)).astype(int), 0, [width - 1, height - 1])
    x1, y1 = np.clip(np.ceil(polygon.max(axis=0)).astype(int), 0, [width - 1, height - 1])
    mask = np.zeros((y1 - y0 + 1, x1 - x0 + 1), np.uint8)
    cv2.fillPoly(mask, [(polygon - np.array([x0, y0], np.float32)).astype(np.int32)], 1)
    mean = float(cv2.mean(prob[y0 : y1 + 1, x0 : x1 + 1], mask)[0])
    return mean if math.isfinite(mean) else 0.0
