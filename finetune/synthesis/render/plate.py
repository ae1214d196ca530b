"""Chinese number plates, drawn flat: geometry, colours, frame, screws and wear.

Geometry and colours are those of the plate's kind (`edge_lpr.plates.kinds`). What a camera does to a plate is
in `corruptions`, where it hangs in `crop` and `scene`.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_lpr.finetune.synthesis.render.glyph import WEIGHTS, glyph, latin_fonts
from edge_lpr.finetune.synthesis.render.text import SyntheticPlate
from edge_lpr.plates.layout import Dot
from edge_lpr.plates.registry import KINDS
from edge_lpr.types import FloatColor, Image, Mask, Rng

_LEFT_SHARE = 0.26
"""How much of its width a plate's left part takes where it has another colour."""


@dataclass(frozen=True)
class Style:
    """How one plate is made: fixed for all its characters.

    Attributes:
        font: Name of a Latin font of the bank, "strokes" for the drawn one.
        weight: Index of the stroke weight, 0 (thin) to `WEIGHTS` − 1.
        ink: Colour of characters and frame line, BGR.
        base: Colour of the plate at its top, BGR.
        base_low: Colour at its bottom, BGR; another for the green gradient.
        accent: Colour of the characters that the kind paints in another ink, such as 警.
        frame: Width of the frame line in millimetres, 0 for none.
        left: Colour of the part before the dot where it differs, BGR: yellow on large new-energy vehicles.
    """

    font: str
    weight: int
    ink: FloatColor
    base: FloatColor
    base_low: FloatColor
    accent: FloatColor
    frame: float
    left: FloatColor | None = None


def _clip(color: NDArray[np.float64]) -> FloatColor:
    b, g, r = (float(v) for v in np.clip(color, 0, 255))
    return b, g, r


def _vary(rng: Rng, color: FloatColor, amount: float) -> FloatColor:
    return _clip(np.asarray(color) * rng.uniform(1 - amount, 1 + amount) + rng.uniform(-12, 12, 3))


def sample_style(plate: SyntheticPlate, rng: Rng) -> Style:
    """Draws font, stroke weight, colours and frame for a plate."""
    fonts = latin_fonts()
    font = "strokes" if rng.random() < 0.6 else fonts[int(rng.integers(1, len(fonts)))]
    kind = KINDS[plate.kind]
    ground = kind.paint(plate.text, rng)
    low = ground.top if ground.bottom is None else ground.bottom
    # Foil fades: one shift for the whole plate, so that the gradient stays.
    shift = rng.uniform(-14, 14) + rng.uniform(-7, 7, 3)
    accent = kind.accent_ink if rng.random() < 0.8 else kind.ink
    return Style(
        font=font,
        weight=int(rng.integers(WEIGHTS)),
        ink=_vary(rng, kind.ink, 0.06),
        base=_clip(np.asarray(ground.top) + shift),
        base_low=_clip(np.asarray(low) + shift),
        accent=_vary(rng, accent if kind.accent else kind.ink, 0.05),
        frame=float(rng.uniform(1.4, 3.8)) if rng.random() < 0.93 else 0.0,
        left=None if ground.left is None else _clip(np.asarray(ground.left) + shift),
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
    layout, accents = plate.layout, KINDS[plate.kind].accents(plate.text)
    width_mm, height_mm = layout.size
    scale = height / height_mm
    width = round(width_mm * scale)
    ink: Mask = np.zeros((height, width), np.uint8)
    accent: Mask = np.zeros((height, width), np.uint8)
    sway = rng.uniform(-1.0, 1.0, 2)
    # Stamps differ from maker to maker, most in how much of its cell a Chinese character fills.
    hanzi = (float(rng.uniform(0.92, 1.06)), float(rng.uniform(0.82, 1.0)))
    for i, (char, (x, y, w, h)) in enumerate(zip(plate.text, layout.cells, strict=True)):
        mask = accent if i in accents else ink
        wide, high = (1.0, 1.0) if char.isascii() else hanzi
        box = (x + sway[0] + w * (1 - wide) / 2, y + sway[1] + h * (1 - high) / 2, w * wide, h * high)
        _stamp(mask, glyph(char, style.font, _weight(style, rng)), box, scale, rng)
        # Not behind the loop: a seed goes on drawing the same plate.
        if i == 1 and layout.dot is not None:
            _dot(ink, layout.dot, scale, rng)
    if style.frame > 0:
        _frame(ink, style.frame, scale)
    image = _paint(style, ink, accent, rng)
    _screws(image, layout.size, scale, rng)
    _wear(image, style, rng)
    return image


def _weight(style: Style, rng: Rng) -> int:
    return int(np.clip(style.weight + rng.integers(-1, 2) * (rng.random() < 0.2), 0, WEIGHTS - 1))


def _stamp(mask: Mask, cell: Mask, box: tuple[float, float, float, float], scale: float, rng: Rng) -> None:
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


def _dot(mask: Mask, dot: Dot, scale: float, rng: Rng) -> None:
    if rng.random() < 0.08:
        return
    x, y = (round(v * scale * 16) for v in dot.centre)
    if dot.ring:
        # A smudge at camera resolution.
        size = (round(9 * scale * 16) // 16, round(14 * scale * 16) // 16)
        cv2.ellipse(mask, (x // 16, y // 16), size, 0, 40, 320, 150, max(1, round(3 * scale)), cv2.LINE_AA)
        return
    cv2.circle(mask, (x, y), round(rng.uniform(4.5, 6.5) * scale * 16), 255, -1, cv2.LINE_AA, shift=4)


def _frame(mask: Mask, line: float, scale: float) -> None:
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


def _paint(style: Style, ink: Mask, accent: Mask, rng: Rng) -> Image:
    """Colours the masks; strokes are pressed, so that light from above edges them."""
    height, width = ink.shape
    ramp = np.linspace(0, 1, height, dtype=np.float32)[:, None] ** np.float32(rng.uniform(0.7, 1.4))
    rows = np.asarray(style.base, np.float32) * (1 - ramp) + np.asarray(style.base_low, np.float32) * ramp
    image = np.repeat(rows[:, None, :], width, axis=1)
    if style.left is not None:
        image[:, : round(_LEFT_SHARE * width)] = style.left
    for mask, color in ((ink, style.ink), (accent, style.accent)):
        if mask is accent and not accent.any():
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


def _screws(image: Image, size_mm: tuple[int, int], scale: float, rng: Rng) -> None:
    width_mm, height_mm = size_mm
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
