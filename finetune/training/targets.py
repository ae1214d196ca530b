"""Training targets of DB: the shrunk-text map and the border (threshold) map.

Source: Liao et al. 2020, section 3.4; what PaddleOCR calls MakeShrinkMap and MakeBorderMap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import pyclipper
from numpy.typing import NDArray

from edge_lpr.finetune.recipe.data import TargetSettings
from edge_lpr.types import FloatMap

__all__ = ["DetTargets", "det_targets"]

DEFAULT = TargetSettings()


@dataclass(frozen=True, eq=False)
class DetTargets:
    """What one image teaches; all maps float32 H×W.

    Attributes:
        shrink: 1 inside the shrunk texts.
        shrink_mask: 0 on texts that do not count, else 1.
        border: Threshold target, rising towards a text's border.
        border_mask: 1 within the border's reach.
    """

    shrink: FloatMap
    shrink_mask: FloatMap
    border: FloatMap
    border_mask: FloatMap


def _offset(polygon: NDArray[np.float64], distance: float) -> NDArray[np.int32] | None:
    """Grows (or, negative, shrinks) a polygon; None where nothing is left."""
    clipper = pyclipper.PyclipperOffset()
    clipper.AddPath(
        [(round(x), round(y)) for x, y in polygon], pyclipper.JT_ROUND, pyclipper.ET_CLOSEDPOLYGON
    )
    paths = clipper.Execute(distance)
    return np.array(max(paths, key=len), np.int32) if paths else None


def _distance_to_edges(polygon: NDArray[np.float64], x0: int, y0: int, width: int, height: int) -> FloatMap:
    """Distance in pixels of each pixel of a window to the polygon's outline: float32 height×width."""
    ys, xs = np.mgrid[y0 : y0 + height, x0 : x0 + width].astype(np.float32)
    nearest = np.full((height, width), np.inf, np.float32)
    for (ax, ay), (bx, by) in zip(polygon, np.roll(polygon, -1, 0), strict=True):
        dx, dy = bx - ax, by - ay
        along = np.clip(((xs - ax) * dx + (ys - ay) * dy) / max(dx * dx + dy * dy, 1e-9), 0.0, 1.0)
        nearest = np.minimum(nearest, np.hypot(xs - ax - along * dx, ys - ay - along * dy))
    return nearest


def _draw_border(polygon: NDArray[np.float64], distance: float, canvas: FloatMap, mask: FloatMap) -> None:
    grown = _offset(polygon, distance)
    if grown is None:
        return
    height, width = canvas.shape
    cv2.fillPoly(mask, [grown], 1.0)
    x0, y0 = np.maximum(grown.min(0), 0)
    x1, y1 = np.minimum(grown.max(0) + 1, (width, height))
    if x1 <= x0 or y1 <= y0:
        return
    near = 1.0 - _distance_to_edges(polygon, int(x0), int(y0), int(x1 - x0), int(y1 - y0)) / distance
    window = canvas[y0:y1, x0:x1]
    np.maximum(window, np.clip(near, 0.0, 1.0), out=window)


def det_targets(
    polygons: Sequence[NDArray[np.float32]],
    ignored: Sequence[bool],
    height: int,
    width: int,
    settings: TargetSettings = DEFAULT,
    epoch: int = 1,
) -> DetTargets:
    """Draws both maps of one image.

    Args:
        polygons: Each float32 K×2, corners in pixels of the image; may reach outside.
        ignored: For each polygon whether it shall not count (illegible text, PP-OCR's "###").
        height: Of the image, in pixels.
        width: Of the image, in pixels.
        settings: How texts are shrunk.
        epoch: Of the training, from 1; ratios may grow with it.

    Returns:
        The targets. A polygon whose shorter side is too small, or that shrinks to nothing, is masked.
    """
    shrink = np.zeros((height, width), np.float32)
    shrink_mask = np.ones((height, width), np.float32)
    border = np.zeros((height, width), np.float32)
    border_mask = np.zeros((height, width), np.float32)
    for points, ignore in zip(polygons, ignored, strict=True):
        polygon = np.asarray(points, np.float64).reshape(-1, 2)
        outline = polygon.astype(np.float32)
        area, length = abs(cv2.contourArea(outline)), cv2.arcLength(outline, True)
        short = min(cv2.minAreaRect(outline)[1])
        distance = area * (1 - settings.ratio(epoch) ** 2) / max(length, 1e-9)
        shrunk = None if ignore or short < settings.min_text_size else _offset(polygon, -distance)
        if shrunk is None:
            cv2.fillPoly(shrink_mask, [np.round(polygon).astype(np.int32)], 0.0)
            continue
        cv2.fillPoly(shrink, [shrunk], 1.0)
        _draw_border(polygon, distance, border, border_mask)
    border = border * (settings.thresh_max - settings.thresh_min) + settings.thresh_min
    return DetTargets(shrink, shrink_mask, border.astype(np.float32), border_mask)
