"""Pictures that may be shown to others: all plates in them made unreadable."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Protocol

import cv2
import numpy as np

from edge_lpr.pipeline.detector import Detector
from edge_lpr.types import Image, Quad

__all__ = ["HasDetector", "blurred"]

# Half and less of what a plate is read from: signs are covered too, and rather those than a plate left open.
_THRESH, _BOX_THRESH = 0.15, 0.2
_TILE, _OVERLAP = 960, 240  # pixels; no plate of a street camera is wider than the overlap where tiles matter
_SCALES = 1, 2
_LARGEST = 4096  # pixels, beyond which nothing is enlarged: the plates that are seen are large enough
# Of a box's height: what is added on each side. Where a plate was stored, it may have moved by then.
_MARGIN, _STORED_MARGIN = 0.35, 0.6


class HasDetector(Protocol):
    """What is needed of a reader here; `edge_lpr.PlateReader` is one."""

    detector: Detector


def blurred(image: Image, reader: HasDetector, corners: Sequence[Quad] = ()) -> Image:
    """Makes all text in a picture unreadable, plates among it.

    It is searched as a whole, and in overlapping parts at full size and twice that (where it is small, as a
    whole again), with thresholds that rather take a sign for a plate. What is found becomes one row of
    squares as high as it is: of a plate some mean colours are left, from which no text can be worked out.

    Args:
        image: uint8 H×W×3 BGR; not changed.
        reader: Finds the text.
        corners: Where plates are known to be, float32 4×2 each, in pixels; covered whether found or not.

    Returns:
        uint8 H×W×3 BGR.

    Raises:
        BackendError: The backend failed: then there is no picture, rather than one with plates in it.
    """
    known = reader.detector
    settings = replace(known.settings, thresh=_THRESH, box_thresh=_BOX_THRESH, max_candidates=1000)
    detector = Detector(known.backend, known.model, settings, known.frames)
    found = [(np.asarray(one, np.float32).reshape(-1, 2), _STORED_MARGIN) for one in corners]
    for origin, scale, part in _parts(image):
        for box in detector.detect(part):
            found += [
                (np.asarray((outline + origin) / scale, np.float32), _MARGIN) for outline in box.outlines()
            ]
    result = image.copy()
    for outline, margin in found:
        _cover(image, result, outline, margin)
    return result


def _parts(image: Image) -> Iterator[tuple[Quad, int, Image]]:
    """Gives the whole picture, and parts of it where it is larger than one, as it is and enlarged.

    Yields:
        float32 2, where the part begins, x and y in pixels of the enlarged picture; how often that is as
        large; and the part.
    """
    yield np.zeros(2, np.float32), 1, image
    for scale in _SCALES:
        height, width = (side * scale for side in image.shape[:2])
        if max(height, width) <= _TILE if scale == 1 else max(height, width) > _LARGEST:
            continue
        whole = image if scale == 1 else np.asarray(cv2.resize(image, (width, height)), np.uint8)
        for y in _starts(height):
            for x in _starts(width):
                part = np.ascontiguousarray(whole[y : y + _TILE, x : x + _TILE])
                yield np.array([x, y], np.float32), scale, part


def _starts(length: int) -> list[int]:
    count = max(1, math.ceil((length - _OVERLAP) / (_TILE - _OVERLAP)))
    return [round(i * (length - _TILE) / (count - 1)) if count > 1 else 0 for i in range(count)]


def _cover(image: Image, result: Image, outline: Quad, margin: float) -> None:
    """Replaces what lies in an outline, and around it, by squares of its mean colours."""
    (cx, cy), (w, h), angle = cv2.minAreaRect(outline)
    side = max(min(w, h), 2.0)
    points = cv2.boxPoints(((cx, cy), (w + 2 * margin * side, h + 2 * margin * side), angle))
    height, width = image.shape[:2]
    left, top = np.floor(points.min(axis=0)).astype(int).clip(0, (width, height))
    right, bottom = np.ceil(points.max(axis=0)).astype(int).clip(0, (width, height)) + 1
    region = image[top:bottom, left:right]
    if not region.size:
        return
    square = max(1.0, side * (1 + 2 * margin))
    blocks = max(1, round(region.shape[1] / square)), max(1, round(region.shape[0] / square))
    mosaic = cv2.resize(
        cv2.resize(region, blocks, interpolation=cv2.INTER_AREA),
        (region.shape[1], region.shape[0]),
        interpolation=cv2.INTER_NEAREST,
    )
    mask = np.zeros(region.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.rint(points - (left, top)).astype(np.int32)], 255)
    result[top:bottom, left:right][mask > 0] = mosaic[mask > 0]
