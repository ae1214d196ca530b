"""What street scenes are made of: backgrounds, vehicles' ends, signs and lettering that is no plate."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_lpr.finetune.synthesis.render.plate import render_plate
from edge_lpr.finetune.synthesis.render.text import SyntheticPlate
from edge_lpr.finetune.synthesis.render.view import paint_color, paste, plate_corners, tone
from edge_lpr.io import drawing
from edge_lpr.plates.characters import DIGITS, LETTERS, PROVINCES
from edge_lpr.types import FloatColor, Image, Rng


def background(width: int, height: int, rng: Rng, photos: Sequence[Image] = ()) -> Image:
    """Something to stand behind vehicles: part of a photo, or ground, walls, poles and clutter."""
    if photos and rng.random() < 0.7:
        photo = photos[int(rng.integers(len(photos)))]
        scale = max(width / photo.shape[1], height / photo.shape[0]) * float(rng.uniform(1, 1.8))
        w, h = max(width, round(photo.shape[1] * scale)), max(height, round(photo.shape[0] * scale))
        photo = np.asarray(cv2.resize(photo, (w, h), interpolation=cv2.INTER_LINEAR), np.uint8)
        x, y = int(rng.integers(w - width + 1)), int(rng.integers(h - height + 1))
        photo = photo[y : y + height, x : x + width]
        return np.ascontiguousarray(photo[:, ::-1] if rng.random() < 0.5 else photo)
    seeds = rng.uniform(30, 220, (int(rng.integers(2, 6)), int(rng.integers(2, 6)), 1))
    seeds = np.clip(seeds + rng.normal(0, 16, (*seeds.shape[:2], 3)), 0, 255).astype(np.uint8)
    image = np.asarray(cv2.resize(seeds, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
    horizon = int(rng.uniform(0.15, 0.6) * height)
    cv2.rectangle(image, (0, horizon), (width, height), tone(rng, 50, 170, 8), -1)
    for _ in range(int(rng.integers(4, 26))):
        x, y = int(rng.integers(width)), int(rng.normal(horizon, 0.25 * height))
        w, h = (int(v) for v in np.exp(rng.uniform(np.log(4), np.log(0.5 * width), 2)))
        shape = rng.random()
        if shape < 0.5:
            cv2.rectangle(image, (x, y), (x + w, y + h), tone(rng), -1 if rng.random() < 0.7 else 2)
        elif shape < 0.75:
            cv2.line(image, (x, y), (x + w, y + int(rng.normal(0, h))), tone(rng), int(rng.integers(1, 9)))
        else:
            cv2.ellipse(image, (x, y), (w // 2, h // 2), rng.uniform(0, 180), 0, 360, paint_color(rng), -1)
    grain = cv2.resize(
        rng.integers(0, int(rng.integers(2, 40)), (height // 2, width // 2), np.uint8),
        (width, height),
        interpolation=cv2.INTER_LINEAR,
    )
    return np.asarray(cv2.add(image, cv2.merge([grain] * 3)), np.uint8)


def vehicle(plate: SyntheticPlate, rng: Rng, scale: float) -> tuple[Image, NDArray[np.float64]]:
    """A vehicle's end, drawn flat, with its plate.

    Args:
        plate: What stands on the plate.
        rng: Source of randomness.
        scale: Pixels per millimetre.

    Returns:
        uint8 H×W×3 image of about 1700 mm width, and the plate's centre in it, pixels.
    """
    wide, high = 1700 * scale, rng.uniform(900, 1500) * scale
    image = np.empty((int(high), int(wide), 3), np.uint8)
    paint = paint_color(rng)
    image[:] = paint
    shade = tuple(c * rng.uniform(0.4, 0.9) for c in paint)
    h, w = image.shape[:2]
    glass = int(h * rng.uniform(0.25, 0.42))
    cv2.rectangle(image, (int(w * 0.12), int(h * 0.03)), (int(w * 0.88), glass), tone(rng, 10, 120), -1)
    belt = int(h * rng.uniform(0.78, 0.9))
    cv2.rectangle(image, (0, belt), (w, h), tone(rng, 10, 90), -1)
    for _ in range(int(rng.integers(2, 7))):
        y = int(rng.uniform(glass, h))
        cv2.line(
            image,
            (0, y),
            (w, y + int(rng.normal(0, 0.01 * h))),
            shade,
            max(1, int(rng.uniform(3, 30) * scale)),
        )
    lamp = (30.0, 30.0, 200.0) if rng.random() < 0.5 else tone(rng, 180, 250, 8)
    top, bottom = int(h * rng.uniform(0.42, 0.5)), int(h * rng.uniform(0.54, 0.68))
    side = int(w * rng.uniform(0.1, 0.22))
    for x0, x1 in ((0, side), (w - side, w)):
        cv2.rectangle(image, (x0, top), (x1, bottom), lamp, -1)
        cv2.rectangle(image, (x0, top), (x1, bottom), tone(rng, 10, 80), max(1, int(6 * scale)))
    if rng.random() < 0.5:
        cv2.rectangle(image, (int(w * 0.26), top), (int(w * 0.74), bottom), tone(rng, 5, 70), -1)
        for y in range(top, bottom, max(3, int(rng.uniform(20, 60) * scale))):
            cv2.line(
                image, (int(w * 0.27), y), (int(w * 0.73), y), tone(rng, 60, 220), max(1, int(7 * scale))
            )
    cv2.circle(
        image,
        (w // 2, top - int(0.03 * h)),
        max(2, int(55 * scale)),
        tone(rng, 120, 230, 4),
        -1,
        cv2.LINE_AA,
    )
    if rng.random() < 0.4:
        letters = "".join(LETTERS[i] for i in rng.integers(0, len(LETTERS), int(rng.integers(2, 9))))
        _write(
            image,
            letters,
            (int(w * rng.uniform(0.05, 0.7)), int(h * rng.uniform(0.42, 0.6))),
            int(55 * scale),
            rng,
        )
    centre = np.array([w / 2 + rng.normal(0, 40) * scale, h * rng.uniform(0.62, 0.82)])
    well = plate_corners(plate) * scale * rng.uniform(1.03, 1.35, 2) + centre
    if rng.random() < 0.6:
        low, top_left = well[2].astype(int), well[0].astype(int)
        cv2.rectangle(image, tuple(map(int, top_left)), tuple(map(int, low)), tone(rng, 5, 235, 4), -1)
    flat = render_plate(plate, rng, int(np.clip(plate.size_mm[1] * scale, 20, 220)))
    paste(image, flat, plate_corners(plate) * scale + centre)
    return image, centre


def _write(image: Image, text: str, origin: tuple[int, int], height: int, rng: Rng) -> None:
    """Lettering that is no plate, in one colour."""
    if height < 6:
        return
    mask = drawing.text_mask(text, height)
    x, y = max(0, origin[0]), max(0, origin[1])
    region = image[y : y + mask.shape[0], x : x + mask.shape[1]]
    alpha = mask[: region.shape[0], : region.shape[1], None].astype(np.float32) / 255
    region[:] = (region * (1 - alpha) + np.asarray(paint_color(rng), np.float32) * alpha).astype(np.uint8)


def sign(rng: Rng) -> Image:
    """A board with lettering, in colours that plates have too."""
    chars = LETTERS + DIGITS + PROVINCES if rng.random() < 0.5 else DIGITS
    text = "".join(chars[i] for i in rng.integers(0, len(chars), int(rng.integers(2, 12))))
    mask = cv2.copyMakeBorder(drawing.text_mask(text, 40), 8, 8, 14, 14, cv2.BORDER_CONSTANT, value=(0,))
    board: Image = np.empty((*mask.shape, 3), np.uint8)
    palette: tuple[FloatColor, ...] = (
        (180, 85, 25),
        (90, 150, 40),
        (35, 180, 235),
        (235, 235, 235),
        (40, 40, 190),
    )
    board[:] = palette[int(rng.integers(len(palette)))]
    light = (245.0, 245.0, 245.0) if rng.random() < 0.6 else (20.0, 20.0, 20.0)
    alpha = mask[..., None].astype(np.float32) / 255
    return (board * (1 - alpha) + np.asarray(light, np.float32) * alpha).astype(np.uint8)
