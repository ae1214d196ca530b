"""Windows of a frame, looked at as the whole frame would be: at its scale, with no plate cut by a border."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from edge_lpr.geometry import bounding_box_iou
from edge_lpr.pipeline.db_postprocess import Box
from edge_lpr.pipeline.detector import Detector
from edge_lpr.types import Image, Quad, Size

__all__ = ["Window", "detect_in_windows", "joined"]

_SAME = 0.5  # intersection over union from which on two boxes of overlapping windows are one
_CUT = 3.0  # pixels of the detector's input: a box that ends so near a window's border goes on beyond it
# Pixels of the detector's input that a window's sides have, at least: with less around them, small plates
# are lost.
_LEAST = 128


class Window(NamedTuple):
    """An upright rectangle of a frame, in whole source pixels; `right` and `bottom` are the first beyond."""

    left: int
    top: int
    right: int
    bottom: int

    @classmethod
    def around(cls, quad: Quad, margin: tuple[float, float] = (0.0, 0.0)) -> Window:
        """Returns the rectangle around a quadrilateral, with a margin in x and y, in pixels."""
        low, high = quad.min(axis=0) - margin, quad.max(axis=0) + margin
        return cls(*(math.floor(v) for v in low), *(math.ceil(v) for v in high))

    @property
    def corners(self) -> Quad:
        """Its corners, float32 4×2."""
        left, top, right, bottom = self
        return np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float32)

    @property
    def width(self) -> int:
        """Its width, in pixels."""
        return self.right - self.left

    @property
    def height(self) -> int:
        """Its height, in pixels."""
        return self.bottom - self.top

    @property
    def area(self) -> int:
        """Its area, in pixels; 0 where it is empty."""
        return max(self.width, 0) * max(self.height, 0)

    def clipped(self, size: Size) -> Window:
        """Returns its part in a frame of a height and width; empty where it lies outside."""
        height, width = size
        return Window(max(self.left, 0), max(self.top, 0), min(self.right, width), min(self.bottom, height))

    def union(self, other: Window) -> Window:
        """Returns the smallest window that holds both."""
        return Window(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )

    def shared(self, other: Window) -> int:
        """Returns the area that both have in common, in pixels."""
        return Window(
            max(self.left, other.left),
            max(self.top, other.top),
            min(self.right, other.right),
            min(self.bottom, other.bottom),
        ).area

    def grown(self, by: int) -> Window:
        """Returns the window with so much more on each side."""
        return Window(self.left - by, self.top - by, self.right + by, self.bottom + by)

    def holds(self, other: Window) -> bool:
        """Tells whether another one lies inside."""
        return self.union(other) == self

    @property
    def slices(self) -> tuple[slice, slice]:
        """Its rows and columns."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def of(self, image: Image) -> Image:
        """Returns its part of an image, uint8 H×W×3, without a copy."""
        return image[self.slices]


def joined(windows: Sequence[Window]) -> list[Window]:
    """Joins windows that overlap, where one for both is no larger than the two."""
    found: list[Window] = []
    for window in windows:
        merged = window
        while other := next((o for o in found if _better_as_one(o, merged)), None):
            found.remove(other)
            merged = merged.union(other)
        found.append(merged)
    return found


def _better_as_one(a: Window, b: Window) -> bool:
    return a.shared(b) > 0 and a.union(b).area <= a.area + b.area


def detect_in_windows(
    detector: Detector, image: Image, windows: Sequence[Window], zoom: int = 1
) -> list[Box]:
    """Finds the text boxes in windows of a frame, each at the scale that the whole frame is looked at in.

    Args:
        detector: The detector.
        image: The frame, uint8 H×W×3 BGR.
        windows: In the frame's pixels; each is grown to a size that the network takes.
        zoom: How many times as large the windows are looked at.

    Returns:
        The boxes, in the frame's pixels, each once: without those that a window's border cuts, where it is
        not the frame's too.
    """
    size: Size = image.shape[0], image.shape[1]
    height, width = detector.input_size(*size)
    whole = zoom * height, zoom * width
    fitted = [_fitted(window, size, whole, detector.model.stride) for window in windows]
    found = detector.detect_batch([w.of(image) for w, _ in fitted], sizes=[taken for _, taken in fitted])
    boxes: list[Box] = []
    for (window, _), inside in zip(fitted, found, strict=True):
        for box in (_moved(box, window) for box in inside):
            if _is_cut(box, window, size, whole):
                continue
            if all(bounding_box_iou(box.rectangle, other.rectangle) < _SAME for other in boxes):
                boxes.append(box)
    return boxes


def _fitted(window: Window, size: Size, whole: Size, stride: int) -> tuple[Window, Size]:
    """Grows a window to one whose input's sides are multiples of the stride; returns it, and that size."""
    top, bottom, height = _fit_side(window.top, window.bottom, size[0], whole[0], stride)
    left, right, width = _fit_side(window.left, window.right, size[1], whole[1], stride)
    return Window(left, top, right, bottom), (height, width)


def _fit_side(low: int, high: int, length: int, whole: int, stride: int) -> tuple[int, int, int]:
    scale = whole / length
    taken = max(math.ceil((high - low) * scale / stride) * stride, _LEAST)
    if taken >= whole:
        return 0, length, whole
    # Whole pixels of the input: the network sees the plate as it does in the whole frame.
    start = round(((low + high) * scale - taken) / 2)
    start = min(max(start, 0), whole - taken)
    return round(start / scale), round((start + taken) / scale), taken


def _moved(box: Box, window: Window) -> Box:
    by = np.array([window.left, window.top], np.float32)
    quad = None if box.quad is None else box.quad + by
    return replace(box, rectangle=box.rectangle + by, quad=quad)


def _is_cut(box: Box, window: Window, size: Size, whole: Size) -> bool:
    x, y = _CUT * size[1] / whole[1], _CUT * size[0] / whole[0]
    left, top = box.rectangle.min(axis=0)
    right, bottom = box.rectangle.max(axis=0)
    return bool(
        (window.left > 0 and left < window.left + x)
        or (window.top > 0 and top < window.top + y)
        or (window.right < size[1] and right > window.right - x)
        or (window.bottom < size[0] and bottom > window.bottom - y)
    )
