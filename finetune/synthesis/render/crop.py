"""Rendered plates as the recognizer gets them: photographed, found by a detector, cut out."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_lpr.finetune.synthesis import corruptions
from edge_lpr.finetune.synthesis.render.plate import render_plate
from edge_lpr.finetune.synthesis.render.text import SyntheticPlate
from edge_lpr.finetune.synthesis.render.view import (
    loosen,
    paint_color,
    paste,
    plate_corners,
    project,
    sample_slant,
    slanted,
    tone,
    turn,
)
from edge_lpr.geometry import crop_quad
from edge_lpr.plates.two_line import unfold_rows
from edge_lpr.types import Image, Rng


@dataclass(frozen=True)
class CropSettings:
    """How `render_crop` photographs and cuts.

    Attributes:
        min_width: Smallest width of the plate in the image, in pixels.
        max_width: Largest; widths are drawn evenly in the logarithm.
        strength: Of the degradations, see `corruptions.camera`.
        boxed: Share of crops cut as the upright box around a tilted plate at 94×24, as CCPD's crops are.
        slanted: Share that is cut sheared, as the rectangle around a plate seen from the side does it; the
            rest are straightened along a detector's quadrilateral.
    """

    min_width: float = 56
    max_width: float = 240
    strength: float = 1.0
    boxed: float = 0.3
    slanted: float = 0.25


def render_crop(plate: SyntheticPlate, rng: Rng, settings: CropSettings | None = None) -> Image:
    """Shows a plate as the recognizer gets it: photographed, found by a detector, cut out.

    Args:
        plate: What stands on it.
        rng: Source of randomness.
        settings: Sizes, strength and way of cutting; the defaults if None.

    Returns:
        uint8 H×W×3 BGR of natural size, not yet resized to the network's input; two rows laid out in one.
    """
    settings = settings or CropSettings()
    boxed = rng.random() < settings.boxed and plate.rows == 1
    # CCPD's crops are scaled down from larger plates.
    smallest = min(max(settings.min_width, 90.0), settings.max_width) if boxed else settings.min_width
    patch, quad = _photograph(plate, rng, smallest, settings)
    if boxed:
        return _cut_box(patch, quad, rng)
    cut = loosen(quad, rng).astype(np.float32)
    if rng.random() < settings.slanted:
        # The rows of a high plate are cut apart at a fixed height.
        cut = slanted(cut, *sample_slant(rng, 1.0 if plate.rows == 1 else 0.2))
    crop = crop_quad(patch, cut)
    # Two rows as the reader hands them to the recognizer.
    return unfold_rows(crop) if plate.rows == 2 else crop


def render_part(plate: SyntheticPlate, rng: Rng, settings: CropSettings | None = None) -> tuple[Image, str]:
    """Shows a plate in one row that is covered or cut off at an end, as by the border of an image.

    Args:
        plate: What stands on it.
        rng: Source of randomness.
        settings: Sizes and strength; the defaults if None.

    Returns:
        uint8 H×W×3 BGR crop of natural size, and the characters that are left: all but the first or the last
        one to three.
    """
    settings = settings or CropSettings()
    patch, quad = _photograph(plate, rng, settings.min_width, settings)
    crop = crop_quad(patch, quad.astype(np.float32))
    count, lost = len(plate.text), int(rng.integers(1, 4))
    first, last = (lost, count) if rng.random() < 0.5 else (0, count - lost)
    edges = [(left, left + width) for left, _, width, _ in plate.layout.cells]
    scale = crop.shape[1] / plate.size_mm[0]
    start = 0 if first == 0 else round((edges[first - 1][1] + edges[first][0]) / 2 * scale)
    stop = crop.shape[1] if last == count else round((edges[last - 1][1] + edges[last][0]) / 2 * scale)
    return np.ascontiguousarray(crop[:, start:stop]), plate.text[first:last]


def _photograph(
    plate: SyntheticPlate, rng: Rng, smallest: float, settings: CropSettings
) -> tuple[Image, NDArray[np.float64]]:
    """A plate in its surroundings, at least so many pixels wide, and its corners."""
    width = float(np.exp(rng.uniform(np.log(smallest), np.log(settings.max_width))))
    size = plate.size_mm
    height = width * size[1] / size[0]
    flat = render_plate(plate, rng, int(np.clip(height * 1.4, 28, 140 * size[1] / 140)))
    quad = project(turn(size, width, rng), plate_corners(plate))
    low, high = quad.min(axis=0), quad.max(axis=0)
    margin = np.array([0.14 * width, 0.35 * height]) + 2
    quad = quad - low + margin
    extent = np.ceil(high - low + 2 * margin).astype(int)
    patch = _surround(int(extent[0]), int(extent[1]), quad, rng)
    paste(patch, flat, quad)
    return corruptions.camera(patch, rng, height, settings.strength), quad


def _surround(width: int, height: int, quad: NDArray[np.float64], rng: Rng) -> Image:
    """Bumper, bracket and shade around a plate."""
    patch = np.empty((height, width, 3), np.uint8)
    patch[:] = paint_color(rng)
    for _ in range(int(rng.integers(0, 4))):
        y = int(rng.uniform(-0.2, 1.1) * height)
        thick = int(rng.uniform(0.05, 0.5) * height) + 1
        tilt = int(rng.normal(0, 0.05) * height)
        band = np.array([[0, y], [width, y + tilt], [width, y + tilt + thick], [0, y + thick]])
        cv2.fillConvexPoly(patch, band, tone(rng))
    if rng.random() < 0.45:
        # A plate holder, often wider at the bottom, where the dealer's name stands.
        centre = quad.mean(axis=0)
        holder = centre + (quad - centre) * rng.uniform(1.02, 1.12)
        holder[2:, 1] += rng.uniform(0, 0.2) * (quad[3, 1] - quad[0, 1])
        cv2.fillConvexPoly(patch, np.round(holder).astype(np.int32), tone(rng), cv2.LINE_AA)
    return patch


def _cut_box(image: Image, quad: NDArray[np.float64], rng: Rng) -> Image:
    """The upright box around a plate, at 94×24 as in CCPD's crops, or at its own size."""
    low, high = quad.min(axis=0), quad.max(axis=0)
    extent = high - low
    low = low + extent * rng.normal(0, 0.012, 2)
    high = high + extent * rng.normal(0, 0.012, 2)
    x0, y0 = np.clip(np.round(low), 0, None).astype(int)
    x1, y1 = np.round(high).astype(int)
    crop = image[y0 : max(y1, y0 + 4), x0 : max(x1, x0 + 4)]
    if rng.random() < 0.7:
        crop = np.asarray(cv2.resize(crop, (94, 24), interpolation=cv2.INTER_LINEAR), np.uint8)
        if rng.random() < 0.7:
            crop = corruptions.jpeg(crop, rng, 60)
    return np.ascontiguousarray(crop)
