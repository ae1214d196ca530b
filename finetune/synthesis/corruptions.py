"""What a camera does to an image: light, blur, noise, resolution, compression.

Every function takes a uint8 H×W×3 BGR image and returns a new one of the same size. Strengths are drawn in
the functions, from ranges set by looking at CCPD and street images; `camera` chains them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_lpr.types import Image, Rng

_BANK = 1024


@lru_cache(maxsize=1)
def _noise_bank() -> NDArray[np.int16]:
    """Unit noise times 64; drawing fresh noise per image would cost more than all the rest."""
    bank = np.random.default_rng(20).normal(0, 64, (_BANK, _BANK, 3))
    return bank.astype(np.int16)


def light(image: Image, rng: Rng, strength: float = 1.0) -> Image:
    """Exposure, contrast, gamma and a colour cast, as one table per channel."""
    x = np.linspace(0, 1, 256, dtype=np.float32)
    gamma = float(np.exp(np.clip(rng.normal(0, 0.3 * strength), -0.6, 0.7)))
    gain = float(np.exp(np.clip(rng.normal(-0.05, 0.28 * strength), -0.8, 0.6)))
    lift = float(rng.uniform(-0.06, 0.12) * strength)
    cast = np.exp(rng.normal(0, 0.12 * strength, 3))
    if rng.random() < 0.12 * strength:
        # Lamps at night and gate cameras: one channel far above the others.
        cast = cast * np.exp(rng.normal(0, 0.3, 3))
    table = np.stack([np.clip(x**gamma * gain * c + lift, 0, 1) * 255 for c in cast], axis=1)
    return np.asarray(cv2.LUT(image, table.astype(np.uint8)[None]), np.uint8)


def night(image: Image, rng: Rng) -> Image:
    """Too little light: dark, pale, with the noise of a high gain to come."""
    x = np.linspace(0, 1, 256, dtype=np.float32)
    table = np.clip(x * rng.uniform(0.25, 0.65) + rng.uniform(0.0, 0.06), 0, 1) * 255
    return np.asarray(cv2.LUT(image, table.astype(np.uint8)), np.uint8)


def shadow(image: Image, rng: Rng) -> Image:
    """Light that changes across the image: a soft ramp, or the edge of a shadow."""
    height, width = image.shape[:2]
    if rng.random() < 0.5:
        small = rng.uniform(0.45, 1.25, (2, 3)).astype(np.float32)
        field = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    else:
        field = np.ones((height, width), np.float32)
        a, b, c = rng.uniform(-0.2, 1.2, 3)
        dark = float(rng.uniform(0.4, 0.8))
        side = height if rng.random() < 0.5 else 0
        points = np.array(
            [[0, a * height], [width / 2, b * height], [width, c * height], [width, side], [0, side]]
        )
        cv2.fillPoly(field, [points.astype(np.int32)], dark)
        soft = 2 * int(rng.integers(0, 1 + max(1, height // 12))) + 1
        field = cv2.blur(field, (soft, soft))
    return np.asarray(cv2.multiply(image, cv2.merge([field] * 3), dtype=cv2.CV_8U), np.uint8)


def glare(image: Image, rng: Rng) -> Image:
    """A lamp's or the sun's reflection: a bright soft spot or streak."""
    height, width = image.shape[:2]
    y, x = np.ogrid[:height, :width]
    cx, cy = rng.uniform(0, width), rng.uniform(0, height)
    rx, ry = width * rng.uniform(0.05, 0.4), height * rng.uniform(0.1, 0.8)
    spot = np.exp(-(((x - cx) / rx) ** 2) - ((y - cy) / ry) ** 2).astype(np.float32) * rng.uniform(40, 170)
    return np.asarray(cv2.add(image, cv2.merge([spot] * 3), dtype=cv2.CV_8U), np.uint8)


def bloom(image: Image, rng: Rng) -> Image:
    """Too much light: bright areas spill over into dark strokes, which fade and thin."""
    gain, spill = float(rng.uniform(1.1, 1.4)), float(rng.uniform(0.1, 0.5))
    bright = image.astype(np.float32) * gain
    glow = cv2.GaussianBlur(np.maximum(bright - 120, 0), (0, 0), max(0.8, image.shape[0] * 0.04))
    return np.asarray(np.clip(bright + spill * glow, 0, 255), np.uint8)


def defocus(image: Image, rng: Rng, largest: float) -> Image:
    """Gaussian blur with a sigma up to `largest` pixels."""
    sigma = float(rng.uniform(0.3, max(0.35, largest)))
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8)


def motion(image: Image, rng: Rng, longest: float) -> Image:
    """Blur along a line up to `longest` pixels, mostly sideways or down, as vehicles move."""
    length = float(rng.uniform(2, max(2.5, longest)))
    angle = float(rng.normal(0, 15) if rng.random() < 0.5 else rng.normal(90, 15))
    size = 2 * int(np.ceil(length / 2)) + 1
    kernel = np.zeros((size, size), np.float32)
    step = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))]) * length / 2
    a, b = ((np.array([size, size]) - 1) / 2 - step), ((np.array([size, size]) - 1) / 2 + step)
    start, stop = (tuple(round(float(v) * 16) for v in p) for p in (a, b))
    cv2.line(kernel, start, stop, 1.0, 1, cv2.LINE_AA, shift=4)
    total = float(kernel.sum())
    if total <= 0:
        return image
    return np.asarray(cv2.filter2D(image, -1, kernel / total, borderType=cv2.BORDER_REPLICATE), np.uint8)


def noise(image: Image, rng: Rng, strongest: float = 16.0) -> Image:
    """Sensor noise, in colour or grey, of a deviation up to `strongest` grey levels."""
    height, width = image.shape[:2]
    y, x = int(rng.integers(0, max(1, _BANK - height + 1))), int(rng.integers(0, max(1, _BANK - width + 1)))
    part = _noise_bank()[y : y + height, x : x + width]
    if part.shape[:2] != (height, width):
        part = np.tile(_noise_bank(), (-(-height // _BANK), -(-width // _BANK), 1))[:height, :width]
    if rng.random() < 0.5:
        part = np.repeat(part[..., :1], 3, axis=2)
    deviation = float(rng.uniform(1, strongest))
    return np.asarray(
        cv2.scaleAdd(part.astype(np.float32), deviation / 64, image.astype(np.float32)).clip(0, 255), np.uint8
    )


def shrink(image: Image, rng: Rng, smallest: float = 0.4) -> Image:
    """Low resolution: down by a factor down to `smallest`, and up again."""
    height, width = image.shape[:2]
    factor = float(rng.uniform(smallest, 0.95))
    size = (max(2, round(width * factor)), max(2, round(height * factor)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA if rng.random() < 0.6 else cv2.INTER_LINEAR)
    method = cv2.INTER_CUBIC if rng.random() < 0.5 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(small, (width, height), interpolation=method), np.uint8)


def sharpen(image: Image, rng: Rng) -> Image:
    """The halo of a camera's own sharpening."""
    amount = float(rng.uniform(0.4, 1.8))
    soft = cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.8, 1.8)))
    return np.asarray(cv2.addWeighted(image, 1 + amount, soft, -amount, 0), np.uint8)


def jpeg(image: Image, rng: Rng, worst: int = 18) -> Image:
    """Compression with a quality of `worst` to 95."""
    quality = int(rng.integers(worst, 96))
    ok, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8) if ok else image


def camera(image: Image, rng: Rng, plate_height: float, strength: float = 1.0) -> Image:
    """Photographs a clean image.

    Args:
        image: uint8 H×W×3 BGR.
        rng: Source of randomness.
        plate_height: Height of the plates in it, in pixels; blur is measured in it, so that the text stays
            readable by a person in all but a few images.
        strength: Scales how often and how much; 0 leaves only light, sharpening and compression.

    Returns:
        uint8 H×W×3 BGR.
    """
    image = light(image, rng, 0.4 + 0.6 * strength)
    if rng.random() < 0.3 * strength:
        image = shadow(image, rng)
    if rng.random() < 0.1 * strength:
        image = glare(image, rng)
    if rng.random() < 0.08 * strength:
        image = bloom(image, rng)
    dark = rng.random() < 0.12 * strength
    if dark:
        image = night(image, rng)
    # Blurs add up: the second of an image is weaker, and there is no third.
    blurs: tuple[tuple[float, Callable[[Image, float], Image]], ...] = (
        (0.40, lambda im, k: defocus(im, rng, 0.045 * plate_height * strength * k)),
        (0.20, lambda im, k: motion(im, rng, 0.17 * plate_height * strength * k)),
        (
            0.30,
            lambda im, k: shrink(im, rng, float(np.clip((12 if k == 1 else 17) / plate_height, 0.3, 0.9))),
        ),
    )
    share = 1.0
    for i in rng.permutation(len(blurs)):
        chance, blur = blurs[i]
        if share > 0.2 and rng.random() < chance * strength:
            image = blur(image, share)
            share *= 0.4
    if dark or rng.random() < 0.35 * strength:
        image = noise(image, rng, 5 if dark else 3 + 7 * strength)
    if rng.random() < 0.25:
        image = sharpen(image, rng)
    if rng.random() < 0.8:
        image = jpeg(image, rng, 25)
    return image
