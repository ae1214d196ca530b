"""Chinese number plates, drawn flat: geometry, colours, frame, screws and wear.

The geometry follows GA 36: a 440×140 mm plate with seven 45×90 mm cells 12 mm apart and 34 mm around the dot,
480×140 mm with eight cells for new-energy vehicles, 440×220 mm in two rows at the back of large ones. What a
camera does to a plate is in `degrade`, where it hangs in `render_crop` and `render_scene`.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_lpr.finetune.synthesis.render_glyph import WEIGHTS, glyph, latin_fonts
from edge_lpr.finetune.synthesis.render_text import ENERGY, SyntheticPlate

Image = NDArray[np.uint8]
Rng = np.random.Generator


@dataclass(frozen=True)
class Style:
    """How one plate is made: fixed for all its characters.

    Attributes:
        font: Name of a Latin font of the bank, "strokes" for the drawn one.
        weight: Index of the stroke weight, 0 (thin) to `WEIGHTS` − 1.
        ink: Colour of characters and frame line, BGR.
        base: Colour of the plate at its top, BGR.
        base_low: Colour at its bottom, BGR; another for the green gradient.
        accent: Colour of 警, 领 and 使.
        frame: Width of the frame line in millimetres, 0 for none.
        left: Colour of the part before the dot where it differs, BGR: yellow on large new-energy vehicles.
    """

    font: str
    weight: int
    ink: tuple[float, float, float]
    base: tuple[float, float, float]
    base_low: tuple[float, float, float]
    accent: tuple[float, float, float]
    frame: float
    left: tuple[float, float, float] | None = None


def _cells(
    plate: SyntheticPlate,
) -> tuple[list[tuple[float, float, float, float]], tuple[float, float] | None]:
    """Character cells as x, y, width, height in millimetres, and the centre of the dot."""
    if plate.rows == 2:
        top = [(110.0, 15.0, 80.0, 60.0), (250.0, 15.0, 80.0, 60.0)]
        low = [(27.5 + 80.0 * i, 90.0, 65.0, 110.0) for i in range(5)]
        return top + low, (220.0, 45.0)
    if plate.kind == "green":
        xs = [16.5, 68.5, *(160.5 + 52.0 * i - 0.0 for i in range(6))]
        return [(x, 25.0, 43.0, 90.0) for x in xs], (136.0, 70.0)
    if plate.kind == "embassy":
        return [(15.5 + 60.6 * i, 25.0, 45.0, 90.0) for i in range(7)], None
    xs = [15.5, 72.5, *(151.5 + 57.0 * i for i in range(5))]
    return [(x, 25.0, 45.0, 90.0) for x in xs], (134.5, 70.0)


def _clip(color: NDArray[np.float64]) -> tuple[float, float, float]:
    b, g, r = (float(v) for v in np.clip(color, 0, 255))
    return b, g, r


def _vary(rng: Rng, color: tuple[float, float, float], amount: float) -> tuple[float, float, float]:
    return _clip(np.asarray(color) * rng.uniform(1 - amount, 1 + amount) + rng.uniform(-12, 12, 3))


def sample_style(plate: SyntheticPlate, rng: Rng) -> Style:
    """Draws font, stroke weight, colours and frame for a plate."""
    fonts = latin_fonts()
    font = "strokes" if rng.random() < 0.6 else fonts[int(rng.integers(1, len(fonts)))]
    white, black, red = (240.0, 240.0, 238.0), (25.0, 22.0, 22.0), (40.0, 35.0, 205.0)
    left = None
    if plate.kind == "green":
        ink = black
        low = (95.0, 195.0, 85.0) if rng.random() < 0.8 else (70.0, 170.0, 30.0)
        base = (225.0, 240.0, 225.0) if rng.random() < 0.8 else low
        if plate.text[-1] in ENERGY:
            base = low = (110.0, 205.0, 115.0)
            left = (60.0, 200.0, 235.0)
    elif plate.kind in ("yellow", "learner", "trailer"):
        ink, base = black, (35.0, 180.0, 240.0)
        low = base
    elif plate.kind == "police":
        ink, base, low = black, (238.0, 240.0, 240.0), (238.0, 240.0, 240.0)
    elif plate.kind == "blue":
        ink, base = white, (185.0, 85.0, 20.0)
        low = base
    else:
        ink, base, low = white, (30.0, 28.0, 26.0), (30.0, 28.0, 26.0)
    # Foil fades: one shift for the whole plate, so that the gradient stays.
    shift = rng.uniform(-14, 14) + rng.uniform(-7, 7, 3)
    accent = red if rng.random() < 0.8 else ink
    return Style(
        font=font,
        weight=int(rng.integers(WEIGHTS)),
        ink=_vary(rng, ink, 0.06),
        base=_clip(np.asarray(base) + shift),
        base_low=_clip(np.asarray(low) + shift),
        accent=_vary(rng, accent if plate.kind in ("police", "consulate", "embassy") else ink, 0.05),
        frame=float(rng.uniform(1.4, 3.8)) if rng.random() < 0.93 else 0.0,
        left=None if left is None else _clip(np.asarray(left) + shift),
    )


def render_plate(plate: SyntheticPlate, rng: Rng, height: int = 140, style: Style | None = None) -> Image:
    """Draws a plate flat, sharp and evenly lit; wear, dirt, screws and pressed edges included.

    Args:
        plate: What stands on it.
        rng: Source of randomness.
        height: Height of the result in pixels, at least 16.
        style: Font and colours; drawn if None.

    Returns:
        uint8 height×W×3 BGR; W follows from the plate's proportions.
    """
    style = style or sample_style(plate, rng)
    width_mm, height_mm = plate.size_mm
    scale = height / height_mm
    width = round(width_mm * scale)
    ink = np.zeros((height, width), np.uint8)
    red = np.zeros((height, width), np.uint8)
    cells, dot = _cells(plate)
    sway = rng.uniform(-1.0, 1.0, 2)
    # Stamps differ from maker to maker, most in how much of its cell a Chinese character fills.
    hanzi = (float(rng.uniform(0.92, 1.06)), float(rng.uniform(0.82, 1.0)))
    for i, (char, (x, y, w, h)) in enumerate(zip(plate.text, cells, strict=True)):
        mask = red if plate.kind in ("police", "consulate", "embassy") and char in "警领使" else ink
        wide, high = (1.0, 1.0) if char.isascii() else hanzi
        box = (x + sway[0] + w * (1 - wide) / 2, y + sway[1] + h * (1 - high) / 2, w * wide, h * high)
        _stamp(mask, glyph(char, style.font, _weight(style, rng)), box, scale, rng)
        if i == 1 and dot is not None:
            _dot(mask, plate, dot, scale, rng)
    if style.frame > 0:
        _frame(ink, style.frame, scale)
    image = _paint(style, ink, red, rng)
    _screws(image, plate, scale, rng)
    _wear(image, style, rng)
    return image


def _weight(style: Style, rng: Rng) -> int:
    return int(np.clip(style.weight + rng.integers(-1, 2) * (rng.random() < 0.2), 0, WEIGHTS - 1))


def _stamp(mask: Image, cell: Image, box: tuple[float, float, float, float], scale: float, rng: Rng) -> None:
    """Puts a glyph into its cell, a little stretched, turned and off its place."""
    x, y, w, h = box
    stretch = rng.normal(1.0, 0.02, 2)
    angle, shear = rng.normal(0, 0.008, 2)
    dx, dy = rng.normal(0, 0.7, 2)
    sx, sy = w * scale / cell.shape[1] * stretch[0], h * scale / cell.shape[0] * stretch[1]
    centre = ((x + w / 2 + dx) * scale, (y + h / 2 + dy) * scale)
    matrix = np.array([[sx, -sy * (angle + shear), 0.0], [sx * angle, sy, 0.0]])
    matrix[:, 2] = centre - matrix[:, :2] @ np.array([cell.shape[1] / 2, cell.shape[0] / 2])
    margin = 4
    x0, y0 = max(0, int(x * scale) - margin), max(0, int(y * scale) - margin)
    x1 = min(mask.shape[1], int((x + w) * scale) + margin)
    y1 = min(mask.shape[0], int((y + h) * scale) + margin)
    matrix[:, 2] -= (x0, y0)
    shrink = min(sx, sy)
    if shrink < 0.6:
        # Bilinear sampling skips pixels below half size: smooth first.
        cell = np.asarray(cv2.blur(cell, (round(1 / sx), round(1 / sy))), np.uint8)
    part = cv2.warpAffine(cell, matrix, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR)
    np.maximum(mask[y0:y1, x0:x1], part, out=mask[y0:y1, x0:x1])


def _dot(mask: Image, plate: SyntheticPlate, centre: tuple[float, float], scale: float, rng: Rng) -> None:
    if rng.random() < 0.08:
        return
    x, y = (round(v * scale * 16) for v in centre)
    if plate.kind == "green":
        # The new-energy mark: a ring with a tail, a smudge at camera resolution.
        size = (round(9 * scale * 16) // 16, round(14 * scale * 16) // 16)
        cv2.ellipse(mask, (x // 16, y // 16), size, 0, 40, 320, 150, max(1, round(3 * scale)), cv2.LINE_AA)
        return
    cv2.circle(mask, (x, y), round(rng.uniform(4.5, 6.5) * scale * 16), 255, -1, cv2.LINE_AA, shift=4)


def _frame(mask: Image, line: float, scale: float) -> None:
    """The printed line along the edge, with round corners."""
    height, width = mask.shape
    inset, radius, thick = round(5 * scale), round(9 * scale), max(1, round(line * scale))
    x0, y0, x1, y1 = inset, inset, width - 1 - inset, height - 1 - inset
    for a, b in (
        ((x0 + radius, y0), (x1 - radius, y0)),
        ((x0 + radius, y1), (x1 - radius, y1)),
        ((x0, y0 + radius), (x0, y1 - radius)),
        ((x1, y0 + radius), (x1, y1 - radius)),
    ):
        cv2.line(mask, a, b, 255, thick, cv2.LINE_AA)
    for centre, turn in (
        ((x0 + radius, y0 + radius), 180),
        ((x1 - radius, y0 + radius), 270),
        ((x1 - radius, y1 - radius), 0),
        ((x0 + radius, y1 - radius), 90),
    ):
        cv2.ellipse(mask, centre, (radius, radius), turn, 0, 90, 255, thick, cv2.LINE_AA)


def _paint(style: Style, ink: Image, red: Image, rng: Rng) -> Image:
    """Colours the masks; strokes are pressed, so that light from above edges them."""
    height, width = ink.shape
    ramp = np.linspace(0, 1, height, dtype=np.float32)[:, None] ** np.float32(rng.uniform(0.7, 1.4))
    rows = np.asarray(style.base, np.float32) * (1 - ramp) + np.asarray(style.base_low, np.float32) * ramp
    image = np.repeat(rows[:, None, :], width, axis=1)
    if style.left is not None:
        image[:, : round(0.26 * width)] = style.left
    for mask, color in ((ink, style.ink), (red, style.accent)):
        if mask is red and not red.any():
            continue
        alpha = mask[..., None] * np.float32(1 / 255)
        image += (np.asarray(color, np.float32) - image) * alpha
    relief = rng.uniform(0, 0.3)
    if relief > 0.08:
        step = max(1, round(height / 90))
        edge = np.zeros((height, width), np.float32)
        edge[step:] = (ink[step:].astype(np.float32) - ink[:-step]) * np.float32(relief)
        image += edge[..., None] * np.float32(0.6)
    return np.asarray(np.clip(image, 0, 255), np.uint8)


def _screws(image: Image, plate: SyntheticPlate, scale: float, rng: Rng) -> None:
    width_mm, height_mm = plate.size_mm
    tone = float(rng.uniform(50, 225))
    color = _vary(rng, (tone, tone, tone), 0.1)
    for y in (12.5, height_mm - 12.5):
        if rng.random() < (0.25 if y < 20 else 0.5):
            continue
        for x in (width_mm / 2 - 105, width_mm / 2 + 105):
            if rng.random() < 0.1:
                continue
            centre = (round(x * scale), round((y + float(rng.normal(0, 1.5))) * scale))
            radius = max(1, round(float(rng.uniform(4, 9)) * scale))
            shade = tuple(c * 0.45 for c in color)
            cv2.circle(image, (centre[0], centre[1] + max(1, radius // 4)), radius, shade, -1, cv2.LINE_AA)
            cv2.circle(image, centre, radius, color, -1, cv2.LINE_AA)


def _wear(image: Image, style: Style, rng: Rng) -> None:
    """Scratches, chipped paint, mud splashes and a grey film, on some plates."""
    height, width = image.shape[:2]
    for _ in range(int(rng.integers(1, 6)) if rng.random() < 0.12 else 0):
        ends = rng.uniform(0, 1, (2, 2)) * (width, height)
        color = style.base if rng.random() < 0.5 else (120.0, 120.0, 120.0)
        start, stop = (tuple(int(v) for v in p) for p in ends)
        cv2.line(image, start, stop, color, 1, cv2.LINE_AA)
    if rng.random() < 0.25:
        film = cv2.resize(rng.random((4, 10), np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
        alpha = np.clip(film * np.float32(rng.uniform(0.1, 0.55)), 0, 0.7)[..., None]
        tone = np.asarray(_vary(rng, (95.0, 110.0, 120.0), 0.2), np.float32)
        image[:] = (image + (tone - image) * alpha).astype(np.uint8)
    for _ in range(int(rng.integers(1, 9)) if rng.random() < 0.15 else 0):
        centre = (int(rng.integers(width)), int(rng.integers(height)))
        axes = (int(rng.integers(1, 2 + height // 16)), int(rng.integers(1, 2 + height // 20)))
        mud = _vary(rng, (60.0, 80.0, 95.0), 0.3)
        cv2.ellipse(image, centre, axes, float(rng.uniform(0, 180)), 0, 360, mud, -1, cv2.LINE_AA)
