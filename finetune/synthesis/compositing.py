"""Rendered plates in real photographs: a labelled plate is painted over with another text.

One photo with its plates' corners gives endless texts under real light, blur and surroundings. The new plate
takes over what can be measured on the old one: the colours of ground and ink, the light across it and the
sharpness of its edges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_lpr.finetune.synthesis import corruptions
from edge_lpr.finetune.synthesis.render.plate import render_plate
from edge_lpr.finetune.synthesis.render.text import PlateMix, SyntheticPlate, sample_plate
from edge_lpr.finetune.synthesis.render.view import loosen, paste
from edge_lpr.geometry import crop_quad, side_lengths
from edge_lpr.plates.colour import plate_colours
from edge_lpr.plates.registry import KINDS
from edge_lpr.plates.two_line import may_show_two_rows, unfold_rows
from edge_lpr.types import Image, Quad, Rng

SMALLEST = 40.0
"""Width in pixels of the smallest plates in scenes, where nothing else is asked for."""


@dataclass(frozen=True)
class Look:
    """What is measured on a plate in a photo.

    Attributes:
        ground: Mean colour of the plate's ground, BGR float32 3.
        ink: Mean colour of its characters, BGR float32 3.
        colour: Which of the colours that kinds know in photos the plate seems to be.
        sharpness: Mean gradient at edges as a share of the contrast, per pixel.
        field: Light across the plate, float32 H×W around 1.
    """

    ground: NDArray[np.float32]
    ink: NDArray[np.float32]
    colour: str
    sharpness: float
    field: NDArray[np.float32]


def _sharpness(grey: NDArray[np.float32]) -> float:
    low, high = np.percentile(grey, (5, 95))
    gx, gy = cv2.Sobel(grey, cv2.CV_32F, 1, 0, scale=0.125), cv2.Sobel(grey, cv2.CV_32F, 0, 1, scale=0.125)
    return float(np.percentile(np.hypot(gx, gy), 92) / max(4.0, high - low))


def measure(photo: Image, quad: Quad) -> Look:
    """Measures the plate within a quadrilateral (float32 4×2, tl-tr-br-bl, pixels)."""
    crop = crop_quad(photo, quad)
    h, w = crop.shape[:2]
    inner = crop[h // 6 : h - h // 6, w // 20 : w - w // 20]
    grey = inner.max(axis=2)
    cut, _ = cv2.threshold(grey, 0, 255, cv2.THRESH_OTSU)
    bright = grey > cut
    # Pale ink on a dark ground: the smaller part is bright, or the darker one is blue, as overexposed strokes
    # can fill half of a plate.
    b, _, r = inner[~bright].mean(axis=0) if (~bright).any() else (0.0, 0.0, 0.0)
    pale = bright.mean() < 0.5 or b > 1.3 * r + 10
    # Medians of the halves' extreme parts: blurred edges are neither ground nor ink, thin ink is all edge.
    above, below = (75, 60) if pale else (40, 25)
    high = np.median(
        inner[grey >= np.percentile(grey[bright], above)] if bright.any() else inner[:1, 0], axis=0
    )
    low = np.median(
        inner[grey <= np.percentile(grey[~bright], below)] if (~bright).any() else inner[:1, 0], axis=0
    )
    ground, ink = (low, high) if pale else (high, low)
    b, g, r = (float(v) + 1 for v in ground)
    light = cv2.GaussianBlur(crop.max(axis=2).astype(np.float32), (0, 0), max(1.0, h / 2))
    return Look(
        ground=ground.astype(np.float32),
        ink=ink.astype(np.float32),
        colour=_colour(b, g, r, pale),
        sharpness=_sharpness(cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY).astype(np.float32)),
        field=np.clip(light / max(1.0, float(light.mean())), 0.5, 1.6),
    )


def _colour(b: float, g: float, r: float, pale_ink: bool) -> str:
    """Names the colour of a ground: the first by rank that matches, else the one that takes what is left."""
    candidates = {name: c for name, c in plate_colours().items() if c.pale_ink == pale_ink}
    for name, colour in candidates.items():
        if colour.matches is not None and colour.matches(b, g, r):
            return name
    return next(name for name, colour in candidates.items() if colour.matches is None)


def _relight(flat: Image, look: Look, rng: Rng) -> Image:
    """Maps the renderer's colours to the photo's: a common lift, a gain per channel."""
    nominal = plate_colours()[look.colour]
    ground, ink = (np.asarray(c, np.float32) for c in (nominal.ground, nominal.ink))
    bright, dark = (look.ink, look.ground) if nominal.pale_ink else (look.ground, look.ink)
    nominal_bright, nominal_dark = (ink, ground) if nominal.pale_ink else (ground, ink)
    # The darkest channel of the dark colour is where stray light shows.
    lift = float(np.clip(dark.min() - 0.06 * bright.max(), 0, 90)) * 0.8
    wanted = np.stack([bright, dark]) - lift
    have = np.stack([nominal_bright, nominal_dark])
    gain = (wanted * have).sum(axis=0) / (have * have).sum(axis=0)
    gain = np.clip(gain * np.exp(rng.normal(0, 0.06, 3)), 0.05, 1.5)
    x = np.arange(256, dtype=np.float32)[:, None]
    table = np.clip(x * gain + lift, 0, 255).astype(np.uint8)
    return np.asarray(cv2.LUT(flat, table[None]), np.uint8)


def swap_plate(photo: Image, quad: Quad, plate: SyntheticPlate, rng: Rng, look: Look | None = None) -> Image:
    """Paints another plate over a labelled one.

    Args:
        photo: uint8 H×W×3 BGR; not changed.
        quad: The old plate's corners, float32 4×2, tl-tr-br-bl, pixels.
        plate: What the new one says; any kind fits any kind.
        rng: Source of randomness.
        look: The old plate's measures, to save measuring again.

    Returns:
        A new image, uint8 H×W×3 BGR.
    """
    look = look or measure(photo, quad)
    h, w = look.field.shape
    flat = render_plate(plate, rng, int(np.clip(1.5 * h, 24, 220)))
    flat = _relight(flat, look, rng)
    field = cv2.resize(look.field, (flat.shape[1], flat.shape[0]), interpolation=cv2.INTER_LINEAR)
    flat = np.asarray(cv2.multiply(flat, cv2.merge([field] * 3), dtype=cv2.CV_8U), np.uint8)
    fitted = np.asarray(cv2.resize(flat, (w, h), interpolation=cv2.INTER_AREA), np.uint8)
    fitted = _soften(fitted, look.sharpness * float(rng.uniform(1.0, 1.5)))
    if rng.random() < 0.5:
        fitted = corruptions.noise(fitted, rng, 5)
    out = photo.copy()
    paste(out, fitted, quad)
    x0, y0 = np.maximum(np.floor(quad.min(axis=0)).astype(int) - 8, 0)
    x1, y1 = np.ceil(quad.max(axis=0)).astype(int) + 8
    out[y0:y1, x0:x1] = corruptions.jpeg(out[y0:y1, x0:x1], rng, 45)
    return out


def _soften(image: Image, wanted: float) -> Image:
    """Blurs until edges are no sharper than wanted."""
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).astype(np.float32)
    best = image
    for sigma in (0.0, 0.5, 0.8, 1.1, 1.5, 2.0, 2.6, 3.3):
        if sigma > 0:
            best = np.asarray(cv2.GaussianBlur(image, (0, 0), sigma), np.uint8)
            grey = cv2.cvtColor(best, cv2.COLOR_BGR2GRAY).astype(np.float32)
        if _sharpness(grey) <= wanted:
            break
    return best


def swap_scene(
    photo: Image,
    quads: Sequence[Quad],
    rng: Rng,
    mix: PlateMix | None = None,
    looks: Sequence[Look] | None = None,
) -> tuple[Image, list[tuple[Quad, SyntheticPlate]]]:
    """Paints a new text over every plate of a photo, in a kind like the old one's most of the time.

    Args:
        photo: uint8 H×W×3 BGR; not changed.
        quads: Corners of all its plates, float32 4×2, tl-tr-br-bl, pixels.
        rng: Source of randomness.
        mix: Shares of kinds and hard characters; the defaults if None.
        looks: The plates' measures, to save measuring again.

    Returns:
        The new image and its plates' corners and texts.
    """
    out, plates = photo, []
    for i, quad in enumerate(quads):
        plate = sample_plate(rng, two_rows(mix) if is_high(quad) else mix)
        # Over the old plate's edge, which labels seldom meet exactly; the new corners are the truth.
        centre = quad.mean(axis=0)
        wider = centre + (quad - centre) * rng.uniform(1.01, 1.05, 2).astype(np.float32)
        out = swap_plate(out, wider, plate, rng, looks[i] if looks else measure(photo, quad))
        plates.append((wider, plate))
    return out, plates


def is_high(quad: Quad) -> bool:
    """Whether a plate is as high as one in two rows."""
    top, right, bottom, left = side_lengths(quad)
    return may_show_two_rows(float(max(top, bottom)), float(max(right, left)))


def two_rows(mix: PlateMix | None) -> PlateMix:
    """A mix of the same shares with plates in two rows alone."""
    kinds = {kind.name: kind.share for kind in KINDS if kind.has_two_rows}
    return replace(mix or PlateMix(), kinds=kinds, two_rows=1.0)


def swap_crop(
    photo: Image,
    quad: Quad,
    plate: SyntheticPlate,
    rng: Rng,
    look: Look | None = None,
    strength: float = 0.5,
) -> Image:
    """A recognizer sample out of a photo: the plate swapped, its surroundings photographed again, cut out.

    Args:
        photo: uint8 H×W×3 BGR; not changed.
        quad: The old plate's corners, float32 4×2, tl-tr-br-bl, pixels.
        plate: What the new one says.
        rng: Source of randomness.
        look: The old plate's measures, to save measuring again.
        strength: Of the camera's degradations, on top of what the photo has.

    Returns:
        uint8 H×W×3 BGR crop of natural size, straightened along a slightly wrong quadrilateral.
    """
    height = float(np.linalg.norm(quad[3] - quad[0]))
    low = np.maximum(np.floor(quad.min(axis=0) - 0.6 * height).astype(int), 0)
    high = np.ceil(quad.max(axis=0) + 0.6 * height).astype(int)
    part = np.ascontiguousarray(photo[low[1] : high[1], low[0] : high[0]])
    inside = quad - low.astype(np.float32)
    centre = inside.mean(axis=0)
    wider = centre + (inside - centre) * rng.uniform(1.01, 1.05, 2).astype(np.float32)
    part = swap_plate(part, wider, plate, rng, look or measure(part, inside))
    part = corruptions.camera(part, rng, height, strength)
    crop = crop_quad(part, loosen(wider.astype(np.float64), rng).astype(np.float32))
    return unfold_rows(crop) if plate.rows == 2 else crop


def move_scene(
    photo: Image,
    quads: Sequence[Quad],
    rng: Rng,
    size: tuple[int, int] = (640, 640),
    strength: float = 1.0,
    smallest: float = SMALLEST,
) -> tuple[Image, list[int], list[Quad]]:
    """Looks at a photo from elsewhere: scaled, turned, tilted, cut to a size, photographed again.

    Args:
        photo: uint8 H×W×3 BGR.
        quads: Corners of its plates, float32 4×2, tl-tr-br-bl, pixels.
        rng: Source of randomness.
        size: Width and height of the result in pixels.
        strength: Of tilt and of the camera's degradations.
        smallest: Width in pixels of the smallest plates that are looked for; one that perspective or a wider
            plate beside it makes narrower than 0.6 of this is blanked.

    Returns:
        uint8 H×W×3 BGR, the indices of the plates that are wholly in it, and their corners there. A plate
        that is partly in it is blanked, so that no half plate is taught as ground.
    """
    width, height = size
    ph, pw = photo.shape[:2]
    target = (
        quads[int(rng.integers(len(quads)))].mean(axis=0) if quads else rng.uniform(0.3, 0.7, 2) * (pw, ph)
    )
    if quads:
        now = max(float(np.linalg.norm(q[1] - q[0])) for q in quads)
        scale = float(np.exp(rng.uniform(np.log(smallest), np.log(0.95 * width)))) / max(8.0, now)
    else:
        scale = max(width / pw, height / ph) * float(rng.uniform(0.8, 1.6))
    cover = max(width / pw, height / ph)
    scale = float(np.clip(scale, 0.95 * cover if rng.random() < 0.6 else 0.4 * cover, 3.0))
    wide = rng.random() < 0.3
    angle = np.radians(rng.normal(0, (16 if wide else 4) * strength))
    shear = rng.normal(0, (0.3 if wide else 0.1) * strength)
    squeeze = np.exp(rng.normal(0, 0.15 * strength))
    linear = scale * np.array(
        [[np.cos(angle) * squeeze, -np.sin(angle) + shear], [np.sin(angle) * squeeze, np.cos(angle)]]
    )
    place = rng.uniform(0.2, 0.8, 2) * (width, height)
    matrix = np.eye(3)
    matrix[:2, :2], matrix[:2, 2] = linear, place - linear @ np.asarray(target, np.float64)
    # Push the photo over the canvas where it can cover it, else into the canvas.
    for axis, (extent, room) in enumerate(((pw * scale, width), (ph * scale, height))):
        middle = (matrix[:2, :2] @ np.array([pw / 2, ph / 2]) + matrix[:2, 2])[axis]
        slack = abs(extent - room) / 2
        shift = float(np.clip(middle, room / 2 - slack, room / 2 + slack)) - middle
        matrix[axis, 2] += shift
        place[axis] += shift
    tilt = rng.normal(0, 2e-4 * strength, 2)
    matrix = np.array([[1, 0, 0], [0, 1, 0], [*tilt, 1 - tilt @ place]]) @ matrix
    if scale < 0.6:
        photo = np.asarray(cv2.GaussianBlur(photo, (0, 0), 0.4 / scale), np.uint8)
    fill = tuple(float(v) for v in photo.reshape(-1, 3)[:: max(1, photo.size // 3000)].mean(axis=0))
    out = np.asarray(
        cv2.warpPerspective(photo, matrix, size, flags=cv2.INTER_LINEAR, borderValue=fill), np.uint8
    )
    kept, moved = [], []
    for i, quad in enumerate(quads):
        points = np.column_stack([np.asarray(quad, np.float64), np.ones(4)]) @ matrix.T
        corners = (points[:, :2] / points[:, 2:]).astype(np.float32)
        low, high = corners.min(axis=0), corners.max(axis=0)
        if (high < 0).any() or low[0] > width or low[1] > height:
            continue
        narrow = high[0] - low[0] < 0.6 * smallest
        if (low < 1).any() or high[0] > width - 2 or high[1] > height - 2 or narrow:
            cv2.fillConvexPoly(out, np.round(corners).astype(np.int32), fill)
            continue
        kept.append(i)
        moved.append(corners)
    heights = [float(np.linalg.norm(q[3] - q[0])) for q in moved]
    out = corruptions.camera(out, rng, min(heights, default=30.0), 0.6 * strength)
    return out, kept, moved
