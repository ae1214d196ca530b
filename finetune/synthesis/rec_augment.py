"""PP-OCRv3's augmentations of labelled text lines, for the recognizer: RecConAug and RecAug.

Names, order, probabilities and strengths are PaddleOCR's (`ch_PP-OCRv3_rec.yml` and the operators that it
names); tests hold the warp to PaddleOCR's own. Strengths are counts of pixels there, meant for lines of the
network's 48: so a crop is brought to that height first, whatever the photo's resolution.

What they do to a plate is uneven. TIA, cropping, blur and reversing show; `hsv_aug` and `gaussian_noise`
change a pixel by a level or two, and `jitter` moves nothing in a line below 201 pixels. Light, motion, noise
and compression as cameras make them are `corruptions.camera`, which rendered plates get.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_lpr.types import Image, Rng

__all__ = [
    "RecAug",
    "bring_to_height",
    "gaussian_noise",
    "get_crop",
    "hsv_aug",
    "jitter",
    "rec_con_aug",
    "tia_distort",
    "tia_perspective",
    "tia_stretch",
    "warp_mls",
]

Points = NDArray[np.float64]
# Smaller images are neither warped nor cropped.
MIN_SIDE = 20
# Distance of the nodes at which a warp is computed; between them it is interpolated.
GRID = 100
# A line longer than this is squeezed: no plate is, and memory stays bounded.
MAX_ASPECT = 20.0


@dataclass(frozen=True)
class RecAug:
    """All operators on one line, each with its probability, in this order.

    Attributes:
        tia: Of `tia_distort`, `tia_stretch` and `tia_perspective`, together.
        crop: Of `get_crop`.
        blur: Of a Gaussian blur of 5×5 taps with a sigma of 1 pixel.
        hsv_aug: Of `hsv_aug`.
        jitter: Of `jitter`.
        noise: Of `gaussian_noise`.
        reverse: Of the negative, 255 less each value.
    """

    tia: float = 0.4
    crop: float = 0.4
    blur: float = 0.4
    hsv_aug: float = 0.4
    jitter: float = 0.4
    noise: float = 0.4
    reverse: float = 0.4

    def __call__(self, image: Image, rng: Rng) -> Image:
        """Draws a variant of a line, uint8 H×W×3 BGR; its height is less by up to 8 where it was cropped."""
        large = min(image.shape[:2]) >= MIN_SIDE
        if rng.random() < self.tia and large:
            image = tia_distort(image, rng, int(rng.integers(3, 7)))
            image = tia_stretch(image, rng, int(rng.integers(3, 7)))
            image = tia_perspective(image, rng)
        if rng.random() < self.crop and large:
            image = get_crop(image, rng)
        if rng.random() < self.blur:
            image = np.asarray(cv2.GaussianBlur(image, (5, 5), 1), np.uint8)
        if rng.random() < self.hsv_aug:
            image = hsv_aug(image, rng)
        if rng.random() < self.jitter:
            image = jitter(image, rng)
        if rng.random() < self.noise:
            image = gaussian_noise(image, rng)
        if rng.random() < self.reverse:
            image = 255 - image
        return np.ascontiguousarray(image)


def bring_to_height(image: Image, height: int) -> Image:
    """Resizes a line to a height in pixels at its own aspect ratio."""
    width = round(height * min(MAX_ASPECT, image.shape[1] / image.shape[0]))
    return np.asarray(cv2.resize(image, (max(1, width), height), interpolation=cv2.INTER_LINEAR), np.uint8)


def rec_con_aug(
    line: tuple[Image, str],
    others: Iterable[tuple[Image, str]],
    shape: tuple[int, int] = (320, 48),
    max_text_length: int = 25,
) -> tuple[Image, str]:
    """RecConAug: sets lines side by side, as long as they fit into the network's input.

    Args:
        line: uint8 H×W×3 BGR and its text.
        others: What is appended, in this order, until one does not fit (PP-OCRv3 gives two).
        shape: Width and height of the network's input, in pixels.
        max_text_length: Of the joined text.

    Returns:
        The line, uint8 of the input's height where something was appended, and its text.
    """
    image, text = line
    for more, more_text in others:
        aspect = image.shape[1] / image.shape[0] + more.shape[1] / more.shape[0]
        if aspect > shape[0] / shape[1] or len(text) + len(more_text) > max_text_length:
            break
        image = np.hstack([bring_to_height(image, shape[1]), bring_to_height(more, shape[1])])
        text += more_text
    return image, text


def tia_distort(image: Image, rng: Rng, segments: int) -> Image:
    """TIA (Luo et al. 2020, "Learn to Augment"): moves the ends of each segment's edges about.

    Args:
        image: uint8 H×W×3 BGR.
        rng: Source of randomness.
        segments: Into how many the line is cut; their edges move by up to a sixth of a segment's width, the
            line's own corners inwards by up to a third.
    """
    step, source = _fiducials(image, segments)
    reach = max(1, step // 3)
    inwards = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
    move = rng.integers(0, reach, source.shape).astype(np.float64)
    move[:4] *= inwards
    move[4:] -= reach / 2
    return warp_mls(image, source, source + move)


def tia_stretch(image: Image, rng: Rng, segments: int) -> Image:
    """TIA: makes some segments wider and others narrower; an edge moves by up to 2/5 of a segment's width."""
    step, source = _fiducials(image, segments)
    reach = max(1, step * 4 // 5)
    move = np.zeros_like(source)
    # The upper and the lower end of an edge move together.
    move[4:, 0] = np.repeat(rng.integers(0, reach, segments - 1) - reach / 2, 2)
    return warp_mls(image, source, source + move)


def tia_perspective(image: Image, rng: Rng) -> Image:
    """TIA: moves the corners up or down, inwards, by up to half of the height."""
    _, source = _fiducials(image, 1)
    reach = max(1, image.shape[0] // 2)
    move = np.zeros_like(source)
    move[:, 1] = rng.integers(0, reach, 4) * (1, 1, -1, -1)
    return warp_mls(image, source, source + move)


def _fiducials(image: Image, segments: int) -> tuple[int, Points]:
    """A segment's width, and the line's corners followed by upper and lower end of each edge: N×2."""
    height, width = image.shape[:2]
    step = width // segments
    corners = [(0, 0), (width, 0), (width, height), (0, height)]
    edges = [(step * i, y) for i in range(1, segments) for y in (0, height)]
    return step, np.array([*corners, *edges], np.float64)


def warp_mls(image: Image, source: Points, target: Points, grid: int = GRID) -> Image:
    """Deforms an image so that points move, as similar to a rigid motion as they allow.

    Moving least squares with similarities (Schaefer et al. 2006, section 2.2). With points as complex numbers
    the similarity at v that is nearest to p -> q, weighted by 1 / |p - v|², has a closed form: its factor is
    the weighted covariance of p and q over the weighted variance of p.

    Args:
        image: uint8 H×W×3.
        source: float64 N×2 points of the image, N of at least 2.
        target: float64 N×2, where they go.
        grid: Pixels between the nodes at which the deformation is computed; it is linear between them.

    Returns:
        uint8 of the same shape; beyond the image its border is repeated.
    """
    height, width = image.shape[:2]
    xs, across = _nodes(width, grid)
    ys, down = _nodes(height, grid)
    nodes = xs[None, :] + 1j * ys[:, None]
    # Where a pixel comes from is asked, so that the points' targets are mapped to their sources.
    p, q = ((v[:, 0] + 1j * v[:, 1])[:, None, None] for v in (target, source))
    weight = 1 / np.maximum(np.abs(p - nodes) ** 2, 1e-9)
    weight /= weight.sum(axis=0)
    centre_p, centre_q = (weight * p).sum(axis=0), (weight * q).sum(axis=0)
    p, q = p - centre_p, q - centre_q
    factor = (weight * p.conj() * q).sum(axis=0) / (weight * np.abs(p) ** 2).sum(axis=0)
    origin = factor * (nodes - centre_p) + centre_q
    x, y = ((down @ part @ across.T).astype(np.float32) for part in (origin.real, origin.imag))
    return np.asarray(cv2.remap(image, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)


@lru_cache(maxsize=256)
def _nodes(length: int, grid: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Places of the nodes on an axis (N), and the weights that interpolate between them (length×N)."""
    places = np.unique([*range(0, length, grid), length - 1]).astype(np.float64)
    weights = [np.interp(np.arange(length), places, one) for one in np.eye(len(places))]
    return places, np.stack(weights, axis=1)


def get_crop(image: Image, rng: Rng) -> Image:
    """Cuts 1 to 8 rows off, at the top or at the bottom."""
    rows = min(int(rng.integers(1, 9)), image.shape[0] - 1)
    return image[rows:] if rng.random() < 0.5 else image[: image.shape[0] - rows]


def hsv_aug(image: Image, rng: Rng) -> Image:
    """Scales the value of HSV by up to 0.1 %, up or down, and cuts the fraction off."""
    factor = 1 + 0.001 * float(rng.uniform(-1, 1))
    hsv = cv2.cvtColor(image, cv2.COLOR_BGR2HSV)
    hsv[..., 2] = np.clip(hsv[..., 2] * factor, 0, 255).astype(np.uint8)
    return np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR), np.uint8)


def jitter(image: Image, rng: Rng, share: float = 0.01) -> Image:
    """Moves the image along its diagonal, by less than `share` of its shorter side; its edge stays."""
    height, width = image.shape[:2]
    move = int(rng.random() * share * min(height, width)) - 1
    if move < 1:
        return image
    # Less near the upper and left edge, where there is nothing to come in.
    back = np.minimum(np.minimum.outer(np.arange(height), np.arange(width)), move)
    return image[np.arange(height)[:, None] - back, np.arange(width)[None, :] - back]


def gaussian_noise(image: Image, rng: Rng, variance: float = 0.1) -> Image:
    """Adds half of Gaussian noise of a variance in squared grey levels, and cuts the fraction off."""
    noise = rng.standard_normal(image.shape, np.float32) * np.float32(0.5 * variance**0.5)
    return np.clip(image + noise, 0, 255).astype(np.uint8)
