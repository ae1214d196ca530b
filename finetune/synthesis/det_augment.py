"""PP-OCRv3's augmentations of labelled scenes, for the detector: IaaAugment, then EastRandomCropData.

Names, order and values are those of PaddleOCR's `ch_PP-OCRv3_det_student.yml`. Both operators are geometry
alone, so they are composed into one map and the photo is sampled once, at the resolution that the chain would
have left it with. A mirrored plate is still a plate to the detector; the recognizer never gets to see one.

Coordinates are pixel indices: whole numbers are the centres of pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_lpr.types import Image, Quad, Rng

__all__ = ["EastRandomCropData", "IaaAugment", "augment_scene"]

Matrix = NDArray[np.float64]
# tl-tr-br-bl of a mirrored quadrilateral, in the order of the corners that it had.
_MIRRORED = [1, 0, 3, 2]


@dataclass(frozen=True)
class IaaAugment:
    """Fliplr, Affine and Resize.

    Attributes:
        flip: Probability of mirroring left and right.
        rotate: Angles between which the photo is turned about its centre, in degrees; its size stays, what
            leaves it is lost, and black comes in.
        resize: Factors between which it is scaled, the same in width and height.
    """

    flip: float = 0.5
    rotate: tuple[float, float] = (-10.0, 10.0)
    resize: tuple[float, float] = (0.5, 3.0)

    def __call__(self, size: tuple[int, int], rng: Rng) -> tuple[Matrix, bool, float]:
        """Draws a view of a photo.

        Args:
            size: Width and height of the photo, in pixels.
            rng: Source of randomness.

        Returns:
            The map into the new image, 3×3; whether it mirrors; the factor of its size.
        """
        width, height = size
        mirrored = bool(rng.random() < self.flip)
        mirror = np.diag([-1.0 if mirrored else 1.0, 1.0, 1.0])
        mirror[0, 2] = width - 1 if mirrored else 0
        turn = np.eye(3)
        turn[:2] = cv2.getRotationMatrix2D(
            ((width - 1) / 2, (height - 1) / 2), float(rng.uniform(*self.rotate)), 1.0
        )
        factor = float(rng.uniform(*self.resize))
        return _scale(factor, factor) @ turn @ mirror, mirrored, factor


@dataclass(frozen=True)
class EastRandomCropData:
    """Cuts out a part whose edges go through no text (after Zhou et al. 2017, EAST).

    Attributes:
        max_tries: Parts that are drawn before the whole image is taken.
        min_crop_side_ratio: Smallest width and height of a part, as a share of the image's.
    """

    max_tries: int = 50
    min_crop_side_ratio: float = 0.1

    def __call__(
        self, quads: Sequence[NDArray[np.floating]], size: tuple[int, int], rng: Rng
    ) -> tuple[int, int, int, int]:
        """Draws a part with at least one text in it.

        Each edge lies in a stretch beside, between or beyond the texts; the stretches are equally likely.

        Args:
            quads: Corners of the texts that count, K×2 each; they may reach outside.
            size: Width and height of the image, in pixels.
            rng: Source of randomness.

        Returns:
            Left, top, width and height of the part; of the whole image where no part fits.
        """
        whole = (0, 0, *size)
        bounds = [(quad.min(axis=0), quad.max(axis=0)) for quad in quads]
        free = [_free([(b[0][axis], b[1][axis]) for b in bounds], size[axis]) for axis in (0, 1)]
        if not bounds or not free[0] or not free[1]:
            return whole
        for _ in range(self.max_tries):
            (left, right), (top, bottom) = (_two_places(stretches, rng) for stretches in free)
            if right - left < self.min_crop_side_ratio * size[0]:
                continue
            if bottom - top < self.min_crop_side_ratio * size[1]:
                continue
            if any((high > (left, top)).all() and (low < (right, bottom)).all() for low, high in bounds):
                return left, top, right - left, bottom - top
        return whole


def _free(spans: Sequence[tuple[float, float]], length: int) -> list[tuple[int, int]]:
    """The stretches [start, stop) of an axis that none of the spans touches."""
    taken = np.zeros(length + 2, bool)
    taken[[0, -1]] = True
    for low, high in spans:
        start, stop = np.clip([np.floor(low), np.ceil(high) + 1], 0, length).astype(int)
        taken[start + 1 : stop + 1] = True
    edges = np.flatnonzero(np.diff(taken.astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in zip(edges[::2], edges[1::2], strict=True)]


def _two_places(stretches: Sequence[tuple[int, int]], rng: Rng) -> tuple[int, int]:
    places = [int(rng.integers(*stretches[int(rng.integers(len(stretches)))])) for _ in range(2)]
    return min(places), max(places)


def _scale(x: float, y: float) -> Matrix:
    """The map of a resize: edges of pixels, not their centres, are multiplied."""
    return np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1.0]])


def augment_scene(
    photo: Image,
    quads: Sequence[Quad],
    ignored: Sequence[bool],
    rng: Rng,
    size: tuple[int, int],
    *,
    view: IaaAugment | None = None,
    crop: EastRandomCropData | None = None,
) -> tuple[Image, list[Quad], list[bool]]:
    """Shows a labelled photo as PP-OCRv3's detector is trained on it.

    Args:
        photo: uint8 H×W×3 BGR; not changed.
        quads: Corners of its texts, float32 4×2, tl-tr-br-bl, in pixels.
        ignored: For each text whether it shall not count; the crop may cut through it.
        rng: Source of randomness.
        size: Width and height of the result, in pixels.
        view: The first operator; PP-OCRv3's if None.
        crop: The second operator; PP-OCRv3's if None.

    Returns:
        uint8 H×W×3 BGR: the part at its own aspect ratio (`keep_ratio`) in the upper left, black beside or
        below it; the corners, tl-tr-br-bl as they stand there, of the texts that are at least partly in it;
        and which of these do not count.
    """
    height, width = photo.shape[:2]
    into, mirrored, factor = (view or IaaAugment())((width, height), rng)
    canvas = (max(1, int(width * factor)), max(1, int(height * factor)))
    moved = [_map(into, quad[_MIRRORED] if mirrored else quad) for quad in quads]
    counted = [quad for quad, ignore in zip(moved, ignored, strict=True) if not ignore]
    left, top, wide, high = (crop or EastRandomCropData())(counted, canvas, rng)
    fit = min(size[0] / wide, size[1] / high)
    filled = (max(1, int(wide * fit)), max(1, int(high * fit)))
    shift = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1.0]])
    matrix = _scale(fit, fit) @ shift @ into
    out = np.zeros((size[1], size[0], 3), np.uint8)
    out[: filled[1], : filled[0]] = _sample(photo, matrix, filled, factor * min(1.0, fit))
    kept: list[Quad] = []
    flags: list[bool] = []
    for quad, ignore in zip(moved, ignored, strict=True):
        corners = _map(_scale(fit, fit) @ shift, quad).astype(np.float32)
        if (corners.max(axis=0) >= 0).all() and (corners.min(axis=0) < filled).all():
            kept.append(corners)
            flags.append(bool(ignore))
    return out, kept, flags


def _map(matrix: Matrix, points: NDArray[np.floating]) -> Matrix:
    return np.asarray(points, np.float64) @ matrix[:2, :2].T + matrix[:2, 2]


def _sample(photo: Image, matrix: Matrix, size: tuple[int, int], resolution: float) -> Image:
    """Samples a photo once; where the chain makes it smaller on its way, its detail is averaged first."""
    if resolution < 1:
        height, width = photo.shape[:2]
        small = (max(1, round(width * resolution)), max(1, round(height * resolution)))
        photo = np.asarray(cv2.resize(photo, small, interpolation=cv2.INTER_AREA), np.uint8)
        matrix = matrix @ np.linalg.inv(_scale(small[0] / width, small[1] / height))
    return np.asarray(cv2.warpAffine(photo, matrix[:2], size, flags=cv2.INTER_LINEAR), np.uint8)
