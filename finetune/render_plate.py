"""Chinese number plates, drawn flat: formats, geometry, colours and glyphs.

The geometry follows GA 36: a 440×140 mm plate with seven 45×90 mm cells 12 mm apart and 34 mm around the dot,
480×140 mm with eight cells for new-energy vehicles, 440×220 mm in two rows at the back of large ones. What a
camera does to a plate is in `degrade`, where it hangs in `render_scene`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_lpr.finetune import strokes

Image = NDArray[np.uint8]
Rng = np.random.Generator

PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
DIGITS = "0123456789"
ENERGY = "ABCDEFGHJK"
ENDINGS = {
    "police": "警",
    "learner": "学",
    "trailer": "挂",
    "hongkong": "港",
    "macau": "澳",
    "consulate": "领",
}

KIND_WEIGHTS: dict[str, float] = {
    "blue": 0.50,
    "green": 0.20,
    "yellow": 0.12,
    "learner": 0.04,
    "police": 0.04,
    "trailer": 0.03,
    "hongkong": 0.02,
    "macau": 0.02,
    "consulate": 0.02,
    "embassy": 0.01,
}
HARD_SETS = ("D0OQ", "8BS3", "Z27", "5S6G", "HMN", "CG6", "PF", "UV", "4A", "1T7", "KX", "EF", "9Q")
"""Letters and digits that a recognizer takes for each other when they are blurred."""
HARD_PROVINCES = (
    "豫沪",
    "川鄂",
    "苏赣",
    "皖晥浙",
    "粤鲁贵",
    "辽辽",
    "津浙湘沪",
    "冀翼黑",
    "京吉",
    "桂赣",
    "闽蒙",
)

SCALE = 1.6
"""Pixels per millimetre at which glyphs are prepared."""
CELL = (45, 90)
"""Character cell of a one-row plate, width and height in millimetres."""


@dataclass(frozen=True)
class Plate:
    """What stands on a plate.

    Attributes:
        text: The characters without the dot, as `PlateRead.text`.
        kind: The format, one of `KIND_WEIGHTS`.
        rows: 1, or 2 for the high rear plate of large vehicles.
    """

    text: str
    kind: str
    rows: int = 1

    @property
    def size_mm(self) -> tuple[int, int]:
        """Width and height in millimetres."""
        return 480 if self.kind == "green" else 440, 220 if self.rows == 2 else 140


@dataclass(frozen=True)
class PlateMix:
    """What `sample_plate` draws from.

    Attributes:
        kinds: Kind to weight; weights need not sum to 1.
        hard: Share of characters and provinces from the sets that are confused when blurred, 0 to 1.
        repeat: Chance that a serial character repeats the one before ("88", "11"), which CTC merges easily.
        two_rows: Share of yellow and trailer plates that are in two rows, 0 to 1.
        letters: Chance of a letter at a serial position.
        home: Provinces that are more frequent where the camera stands.
        home_share: Share of plates from there, 0 to 1, besides those that come by chance.
    """

    kinds: Mapping[str, float] = field(default_factory=lambda: KIND_WEIGHTS)
    hard: float = 0.3
    repeat: float = 0.15
    two_rows: float = 0.0
    letters: float = 0.35
    home: str = ""
    home_share: float = 0.0


def _pick(rng: Rng, chars: str) -> str:
    return chars[int(rng.integers(len(chars)))]


def _serial(rng: Rng, count: int, mix: PlateMix, letters: float) -> str:
    text = ""
    while len(text) < count:
        if text and rng.random() < mix.repeat:
            text += text[-1]
        elif rng.random() < mix.hard and letters > 0:
            chars = [c for c in HARD_SETS[int(rng.integers(len(HARD_SETS)))] if c in LETTERS + DIGITS]
            text += _pick(rng, "".join(chars))
        else:
            text += _pick(rng, LETTERS if rng.random() < letters else DIGITS)
    return text


def sample_plate(rng: Rng, mix: PlateMix | None = None) -> Plate:
    """Draws a plate: every province and character about equally often, hard ones more often.

    Args:
        rng: Source of randomness.
        mix: Shares of kinds and of hard characters; the defaults if None.

    Returns:
        A plate whose text fits its kind's format.
    """
    mix = mix or PlateMix()
    names = list(mix.kinds)
    weights = np.asarray([mix.kinds[name] for name in names], np.float64)
    kind = names[int(rng.choice(len(names), p=weights / weights.sum()))]
    hard = HARD_PROVINCES[int(rng.integers(len(HARD_PROVINCES)))]
    pool = "".join(c for c in hard if c in PROVINCES) if rng.random() < mix.hard else PROVINCES
    province = _pick(rng, mix.home if mix.home and rng.random() < mix.home_share else pool)
    office = _pick(rng, LETTERS + "O" if rng.random() < 0.7 else "ABCDO")
    rows = 2 if kind in ("yellow", "trailer") and rng.random() < mix.two_rows else 1
    if kind == "embassy":
        digits = _serial(rng, 6, mix, 0)
        return Plate(digits + "使" if rng.random() < 0.5 else "使" + digits, kind)
    if kind == "green":
        energy = _pick(rng, "DF" if rng.random() < 0.6 else ENERGY)
        if rng.random() < 0.8:
            second = _pick(rng, LETTERS) if rng.random() < 0.2 else _pick(rng, DIGITS)
            return Plate(province + office + energy + second + _serial(rng, 4, mix, 0), kind)
        return Plate(province + office + _serial(rng, 5, mix, 0) + energy, kind)
    if kind in ENDINGS:
        if kind in ("hongkong", "macau"):
            province, office = "粤", "Z"
        return Plate(province + office + _serial(rng, 4, mix, mix.letters) + ENDINGS[kind], kind, rows)
    return Plate(province + office + _serial(rng, 5, mix, mix.letters), kind, rows)


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


WEIGHTS = 5
_LATIN_MM = (6.75, 8.0, 9.25, 10.5, 11.75)
_HANZI_FILL = (0.30, 0.36, 0.42, 0.48, 0.54)
_DENSE = "MW"
"""Letters with four strokes side by side, which are a little finer."""


@lru_cache(maxsize=1)
def _atlas() -> dict[str, dict[str, Image]]:
    """Thin glyphs of the committed atlas, per font and character."""
    folder = Path(__file__).parent / "assets"
    metrics = json.loads((folder / "glyphs.json").read_text(encoding="utf-8"))
    data = np.frombuffer((folder / "glyphs.png").read_bytes(), np.uint8)
    sheet = np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE), np.uint8)
    return {
        font: {char: sheet[y : y + h, x : x + w] for char, (x, y, w, h) in chars.items()}
        for font, chars in metrics["fonts"].items()
    }


def latin_fonts() -> list[str]:
    """Names of the fonts for letters and digits."""
    return ["strokes", *(name for name, chars in _atlas().items() if "A" in chars)]


@lru_cache(maxsize=4096)
def glyph(char: str, font: str, weight: int) -> Image:
    """One character, filling a 45×90 mm cell with one stroke width.

    Args:
        char: A letter, digit, province or ending.
        font: One of `latin_fonts()`; Chinese characters always come from the same font.
        weight: 0 to `WEIGHTS` − 1.

    Returns:
        uint8 144×72 coverage (`CELL` times `SCALE`).
    """
    width, height = round(CELL[0] * SCALE), round(CELL[1] * SCALE)
    latin = char.isascii()
    if latin and font == "strokes":
        stroke = _LATIN_MM[weight] * SCALE * (0.85 if char in _DENSE else 1.0)
        cell = np.zeros((height * 2, width * 2), np.uint8)
        for line in strokes.strokes(char):
            box = np.array([(width - stroke) / strokes.WIDTH, (height - stroke) / strokes.HEIGHT])
            points = np.round((line * box + stroke / 2) * 2 * 16).astype(np.int32)
            cv2.polylines(cell, [points], False, 255, max(1, round(stroke * 2)), cv2.LINE_AA, shift=4)
        return np.asarray(cv2.resize(cell, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    thin = _atlas()[font if latin else "hei"][char]
    if latin:
        stroke = _LATIN_MM[weight] * SCALE * (0.85 if char in _DENSE else 1.0)
        # A bar does not fill the cell; everything else does.
        share = 0.4 if char in "1I" else 1.0
    else:
        # The more strokes, the finer: the ink covers the same share of the cell for 川 and for 藏.
        length = float((thin > 100).sum()) / 3 * (height / thin.shape[0] + width / thin.shape[1]) / 2
        stroke = float(np.clip(_HANZI_FILL[weight] * width * height / length, 4.2 * SCALE, 8.5 * SCALE))
        share = 1.0
    grow = max(1, round(stroke - 3))
    inner = (max(2, round(width * share) - grow), height - grow)
    small = cv2.resize(thin, inner, interpolation=cv2.INTER_AREA)
    small = np.minimum(small.astype(np.float32) * 1.6, 255).astype(np.uint8)
    cell = np.zeros((height, width), np.uint8)
    x, y = (width - inner[0]) // 2, (height - inner[1]) // 2
    cell[y : y + inner[1], x : x + inner[0]] = small
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (grow, grow))
    return np.asarray(cv2.dilate(cell, kernel), np.uint8)


def _cells(plate: Plate) -> tuple[list[tuple[float, float, float, float]], tuple[float, float] | None]:
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


def sample_style(plate: Plate, rng: Rng) -> Style:
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


def render_plate(plate: Plate, rng: Rng, height: int = 140, style: Style | None = None) -> Image:
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


def _dot(mask: Image, plate: Plate, centre: tuple[float, float], scale: float, rng: Rng) -> None:
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


def _screws(image: Image, plate: Plate, scale: float, rng: Rng) -> None:
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
