"""Rendered plates where a camera sees them: cut out for the recognizer, in street scenes for the detector.

A vehicle's rear or front is drawn flat with its plate, turned in space by a homography and set into a
background of plain shapes or a given photo, among signs and lettering that are no plates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_lpr import draw
from edge_lpr.finetune import degrade
from edge_lpr.finetune.render_plate import (
    DIGITS,
    LETTERS,
    PROVINCES,
    Plate,
    PlateMix,
    render_plate,
    sample_plate,
)
from edge_lpr.rows import unfold_rows

Image = NDArray[np.uint8]
Quad = NDArray[np.float32]
Rng = np.random.Generator
Color = tuple[float, float, float]


@dataclass(frozen=True)
class CropSettings:
    """How `render_crop` photographs and cuts.

    Attributes:
        min_width: Smallest width of the plate in the picture, in pixels.
        max_width: Largest; widths are drawn evenly in the logarithm.
        strength: Of the degradations, see `degrade.camera`.
        boxed: Share of crops cut as the upright box around a tilted plate at 94×24, as CCPD's crops are; the
            rest are straightened along a detector's quadrilateral.
        flip: Share of straightened crops that are upside down; 0 for the recognizer.
    """

    min_width: float = 56
    max_width: float = 240
    strength: float = 1.0
    boxed: float = 0.35
    flip: float = 0.0


@dataclass(frozen=True)
class SceneSettings:
    """What `render_scene` shows.

    Attributes:
        counts: Weights of 0, 1, 2, … plates in a scene.
        min_width: Smallest plate width in pixels; the largest is `max_share` of the picture's width.
        max_share: Largest plate width as a share of the picture's width.
        strength: Of the degradations, see `degrade.camera`.
        photos: Backgrounds to use besides drawn ones; they must hold no plates.
        mix: What the plates say.
    """

    counts: tuple[float, ...] = (0.08, 0.5, 0.25, 0.12, 0.05)
    min_width: float = 44
    max_share: float = 0.55
    strength: float = 0.8
    photos: Sequence[Image] = ()
    mix: PlateMix = field(default_factory=lambda: PlateMix(two_rows=0.15))


def turn(size_mm: tuple[float, float], width: float, rng: Rng, spread: float = 1.0) -> NDArray[np.float64]:
    """A random view of a plane in space.

    Args:
        size_mm: Width and height of the plate in the plane, which is centred on it, in millimetres.
        width: Wanted width of the plate in the picture in pixels, before turning.
        rng: Source of randomness.
        spread: Scales the angles.

    Returns:
        Homography 3×3 from the plane, millimetres from the plate's centre, to pixels from the view's centre.
    """
    wide = rng.random() < 0.25
    yaw = rng.normal(0, 28 if wide else 14) * spread
    pitch = rng.normal(8, 14 if wide else 8) * spread
    roll = rng.normal(0, 14 if wide else 4) * spread
    yaw, pitch, roll = np.radians(np.clip([yaw, pitch, roll], [-62, -40, -42], [62, 45, 42]))
    about_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    about_z = np.array([[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]])
    rotation = about_z @ about_x @ about_y
    distance = rng.uniform(5, 16) * size_mm[0]
    view = np.column_stack([rotation[:, 0], rotation[:, 1], np.array([0, 0, distance])])
    focal = width / size_mm[0] * distance
    return np.asarray(np.diag([focal, focal, 1.0]) @ view)


def project(matrix: NDArray[np.float64], points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Applies a homography to N×2 points."""
    out = np.column_stack([points, np.ones(len(points))]) @ matrix.T
    return np.asarray(out[:, :2] / out[:, 2:])


def plate_corners(plate: Plate) -> NDArray[np.float64]:
    """Corners in millimetres from the plate's centre, tl-tr-br-bl, 4×2."""
    w, h = plate.size_mm
    return np.array([[-w, -h], [w, -h], [w, h], [-w, h]]) / 2


def paste(canvas: Image, flat: Image, quad: NDArray[np.floating]) -> None:
    """Warps a flat picture into a quadrilateral of a canvas, in place."""
    h, w = flat.shape[:2]
    source = np.array([[0, 0], [w, 0], [w, h], [0, h]], np.float32)
    matrix = cv2.getPerspectiveTransform(source - 0.5, np.asarray(quad, np.float32))
    x0, y0 = np.maximum(np.floor(quad.min(axis=0)).astype(int) - 1, 0)
    x1, y1 = np.minimum(np.ceil(quad.max(axis=0)).astype(int) + 2, (canvas.shape[1], canvas.shape[0]))
    if x0 >= x1 or y0 >= y1:
        return
    matrix = np.array([[1, 0, -x0], [0, 1, -y0], [0, 0, 1.0]]) @ matrix
    region = canvas[y0:y1, x0:x1]
    warped = cv2.warpPerspective(flat, matrix, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR)
    mask = np.zeros(region.shape[:2], np.uint8)
    corners = np.round((np.asarray(quad) - (x0, y0)) * 16).astype(np.int32)
    cv2.fillConvexPoly(mask, corners, 255, cv2.LINE_AA, shift=4)
    inside = cv2.warpPerspective(
        np.full((h, w), 255, np.uint8), matrix, (x1 - x0, y1 - y0), flags=cv2.INTER_LINEAR
    )
    alpha = np.minimum(mask, inside)[..., None].astype(np.float32) / 255
    region[:] = (region + (warped.astype(np.float32) - region) * alpha + 0.5).astype(np.uint8)


def _tone(rng: Rng, low: float = 10, high: float = 240, tint: float = 14) -> Color:
    level = rng.uniform(low, high)
    b, g, r = np.clip(level + rng.normal(0, tint, 3), 0, 255)
    return float(b), float(g), float(r)


def _paint_color(rng: Rng) -> Color:
    """A car's paint: mostly white, grey or black; blue and green ones are hard negatives."""
    if rng.random() < 0.7:
        return _tone(rng, 15, 245, 5)
    hsv = rng.integers((0, 80, 50), (180, 240, 230)).astype(np.uint8)[None, None]
    b, g, r = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[0, 0]
    return float(b), float(g), float(r)


def render_crop(plate: Plate, rng: Rng, settings: CropSettings | None = None) -> Image:
    """A plate as the recognizer gets it: photographed, found by a detector, cut out.

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
    patch = degrade.camera(patch, rng, height, settings.strength)
    if boxed:
        return _cut_box(patch, quad, rng)
    crop = cut_quad(patch, loosen(quad, rng))
    if plate.rows == 2:
        # What the reader hands to the recognizer of such a plate.
        crop = unfold_rows(crop)
    return np.ascontiguousarray(crop[::-1, ::-1]) if rng.random() < settings.flip else crop


def _surround(width: int, height: int, quad: NDArray[np.float64], rng: Rng) -> Image:
    """Bumper, bracket and shade around a plate."""
    patch = np.empty((height, width, 3), np.uint8)
    patch[:] = _paint_color(rng)
    for _ in range(int(rng.integers(0, 4))):
        y = int(rng.uniform(-0.2, 1.1) * height)
        thick = int(rng.uniform(0.05, 0.5) * height) + 1
        tilt = int(rng.normal(0, 0.05) * height)
        band = np.array([[0, y], [width, y + tilt], [width, y + tilt + thick], [0, y + thick]])
        cv2.fillConvexPoly(patch, band, _tone(rng))
    if rng.random() < 0.45:
        # A plate holder, often wider at the bottom, where the dealer's name stands.
        centre = quad.mean(axis=0)
        holder = centre + (quad - centre) * rng.uniform(1.02, 1.12)
        holder[2:, 1] += rng.uniform(0, 0.2) * (quad[3, 1] - quad[0, 1])
        cv2.fillConvexPoly(patch, np.round(holder).astype(np.int32), _tone(rng), cv2.LINE_AA)
    return patch


def loosen(quad: NDArray[np.float64], rng: Rng) -> NDArray[np.float64]:
    """A detector's quadrilateral around a plate: a little off, a little too tight or too wide."""
    centre = quad.mean(axis=0)
    across, down = (quad[1] - quad[0] + quad[2] - quad[3]) / 2, (quad[3] - quad[0] + quad[2] - quad[1]) / 2
    grow_x, grow_y = rng.uniform(-0.025, 0.06), rng.uniform(-0.1, 0.2)
    out = centre + (quad - centre)
    for i, (sx, sy) in enumerate(((-1, -1), (1, -1), (1, 1), (-1, 1))):
        jitter = rng.normal(0, 1, 2) * (0.008, 0.03)
        out[i] += across * (sx * grow_x / 2 + jitter[0]) + down * (sy * grow_y / 2 + jitter[1])
    return np.asarray(out + across * rng.normal(0, 0.008) + down * rng.normal(0, 0.03))


def cut_quad(image: Image, quad: NDArray[np.floating]) -> Image:
    """Straightens a quadrilateral, tl-tr-br-bl, to a crop as wide and high as its longer sides."""
    quad = np.asarray(quad, np.float32)
    width = max(4, round(float(max(np.linalg.norm(quad[0] - quad[1]), np.linalg.norm(quad[3] - quad[2])))))
    height = max(4, round(float(max(np.linalg.norm(quad[0] - quad[3]), np.linalg.norm(quad[1] - quad[2])))))
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    matrix = cv2.getPerspectiveTransform(quad, target)
    out = cv2.warpPerspective(
        image, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(out, np.uint8)


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
            crop = degrade.jpeg(crop, rng, 60)
    return np.ascontiguousarray(crop)


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
    cv2.rectangle(image, (0, horizon), (width, height), _tone(rng, 50, 170, 8), -1)
    for _ in range(int(rng.integers(4, 26))):
        x, y = int(rng.integers(width)), int(rng.normal(horizon, 0.25 * height))
        w, h = (int(v) for v in np.exp(rng.uniform(np.log(4), np.log(0.5 * width), 2)))
        shape = rng.random()
        if shape < 0.5:
            cv2.rectangle(image, (x, y), (x + w, y + h), _tone(rng), -1 if rng.random() < 0.7 else 2)
        elif shape < 0.75:
            cv2.line(image, (x, y), (x + w, y + int(rng.normal(0, h))), _tone(rng), int(rng.integers(1, 9)))
        else:
            cv2.ellipse(image, (x, y), (w // 2, h // 2), rng.uniform(0, 180), 0, 360, _paint_color(rng), -1)
    grain = cv2.resize(
        rng.integers(0, int(rng.integers(2, 40)), (height // 2, width // 2), np.uint8),
        (width, height),
        interpolation=cv2.INTER_LINEAR,
    )
    return np.asarray(cv2.add(image, cv2.merge([grain] * 3)), np.uint8)


def vehicle(
    plate: Plate, rng: Rng, scale: float, flat: Image | None = None
) -> tuple[Image, NDArray[np.float64]]:
    """A vehicle's end, drawn flat, with its plate.

    Args:
        plate: What stands on the plate.
        rng: Source of randomness.
        scale: Pixels per millimetre.
        flat: The rendered plate; drawn if None.

    Returns:
        uint8 H×W×3 picture of about 1700 mm width, and the plate's centre in it, pixels.
    """
    wide, high = 1700 * scale, rng.uniform(900, 1500) * scale
    image = np.empty((int(high), int(wide), 3), np.uint8)
    paint = _paint_color(rng)
    image[:] = paint
    shade = tuple(c * rng.uniform(0.4, 0.9) for c in paint)
    h, w = image.shape[:2]
    glass = int(h * rng.uniform(0.25, 0.42))
    cv2.rectangle(image, (int(w * 0.12), int(h * 0.03)), (int(w * 0.88), glass), _tone(rng, 10, 120), -1)
    belt = int(h * rng.uniform(0.78, 0.9))
    cv2.rectangle(image, (0, belt), (w, h), _tone(rng, 10, 90), -1)
    for _ in range(int(rng.integers(2, 7))):
        y = int(rng.uniform(glass, h))
        cv2.line(
            image,
            (0, y),
            (w, y + int(rng.normal(0, 0.01 * h))),
            shade,
            max(1, int(rng.uniform(3, 30) * scale)),
        )
    lamp = (30.0, 30.0, 200.0) if rng.random() < 0.5 else _tone(rng, 180, 250, 8)
    top, bottom = int(h * rng.uniform(0.42, 0.5)), int(h * rng.uniform(0.54, 0.68))
    side = int(w * rng.uniform(0.1, 0.22))
    for x0, x1 in ((0, side), (w - side, w)):
        cv2.rectangle(image, (x0, top), (x1, bottom), lamp, -1)
        cv2.rectangle(image, (x0, top), (x1, bottom), _tone(rng, 10, 80), max(1, int(6 * scale)))
    if rng.random() < 0.5:
        cv2.rectangle(image, (int(w * 0.26), top), (int(w * 0.74), bottom), _tone(rng, 5, 70), -1)
        for y in range(top, bottom, max(3, int(rng.uniform(20, 60) * scale))):
            cv2.line(
                image, (int(w * 0.27), y), (int(w * 0.73), y), _tone(rng, 60, 220), max(1, int(7 * scale))
            )
    cv2.circle(
        image,
        (w // 2, top - int(0.03 * h)),
        max(2, int(55 * scale)),
        _tone(rng, 120, 230, 4),
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
        cv2.rectangle(image, tuple(map(int, top_left)), tuple(map(int, low)), _tone(rng, 5, 235, 4), -1)
    if flat is None:
        flat = render_plate(plate, rng, int(np.clip(plate.size_mm[1] * scale, 20, 220)))
    paste(image, flat, plate_corners(plate) * scale + centre)
    return image, centre


def _write(image: Image, text: str, origin: tuple[int, int], height: int, rng: Rng) -> None:
    """Lettering that is no plate, in one colour."""
    if height < 6:
        return
    mask = draw.text_mask(text, height)
    x, y = max(0, origin[0]), max(0, origin[1])
    region = image[y : y + mask.shape[0], x : x + mask.shape[1]]
    alpha = mask[: region.shape[0], : region.shape[1], None].astype(np.float32) / 255
    region[:] = (region * (1 - alpha) + np.asarray(_paint_color(rng), np.float32) * alpha).astype(np.uint8)


def _sign(rng: Rng) -> Image:
    """A board with lettering, in colours that plates have too."""
    chars = LETTERS + DIGITS + PROVINCES if rng.random() < 0.5 else DIGITS
    text = "".join(chars[i] for i in rng.integers(0, len(chars), int(rng.integers(2, 12))))
    mask = cv2.copyMakeBorder(draw.text_mask(text, 40), 8, 8, 14, 14, cv2.BORDER_CONSTANT, value=(0,))
    board: Image = np.empty((*mask.shape, 3), np.uint8)
    palette: tuple[Color, ...] = (
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


def render_scene(
    rng: Rng, size: tuple[int, int] = (640, 640), settings: SceneSettings | None = None
) -> tuple[Image, list[tuple[Quad, Plate]]]:
    """A street scene with its true plates.

    Args:
        rng: Source of randomness.
        size: Width and height in pixels.
        settings: Counts, sizes and degradations; the defaults if None.

    Returns:
        uint8 H×W×3 BGR, and per plate its corners (float32 4×2, tl-tr-br-bl, pixels, within the picture) and
        what stands on it.
    """
    settings = settings or SceneSettings()
    width, height = size
    image = background(width, height, rng, settings.photos)
    for _ in range(int(rng.integers(0, 4))):
        board = _sign(rng)
        w = float(np.exp(rng.uniform(np.log(40), np.log(width * 0.5))))
        view = turn((board.shape[1], board.shape[0]), w, rng, 0.6)
        h = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * (board.shape[1] / 2, board.shape[0] / 2)
        paste(image, board, project(view, h) + rng.uniform(0, 1, 2) * (width, height))
    weights = np.asarray(settings.counts, np.float64)
    count = int(rng.choice(len(weights), p=weights / weights.sum()))
    plates: list[tuple[Quad, Plate]] = []
    for _ in range(count):
        placed = _place(image, rng, settings, [quad for quad, _ in plates])
        if placed is not None:
            plates.append(placed)
    heights = [float(np.linalg.norm(quad[3] - quad[0])) for quad, _ in plates]
    image = degrade.camera(image, rng, min(heights, default=30.0), settings.strength)
    return image, plates


def _place(image: Image, rng: Rng, settings: SceneSettings, taken: list[Quad]) -> tuple[Quad, Plate] | None:
    """Draws one vehicle into a scene, where it hides no plate; None when there is no room."""
    height, width = image.shape[:2]
    plate = sample_plate(rng, settings.mix)
    for _ in range(8):
        wide = float(np.exp(rng.uniform(np.log(settings.min_width), np.log(width * settings.max_share))))
        view = turn(plate.size_mm, wide, rng)
        quad = project(view, plate_corners(plate))
        low, high = quad.min(axis=0), quad.max(axis=0)
        room = np.array([width, height]) - (high - low) - 4
        if (room < 0).any():
            continue
        shift = rng.uniform(0, 1, 2) * room - low + 2
        shift[1] = max(shift[1], 0.2 * height - low[1]) if room[1] > 0.4 * height else shift[1]
        scale = wide / plate.size_mm[0] * 1.2
        bare = rng.random() < 0.12
        if bare:
            body = plate_corners(plate) * rng.uniform(1.0, 1.25)
        else:
            body = np.array([[-850, -900], [850, -900], [850, 350], [-850, 350]], np.float64)
        outline = project(view, body) + shift
        if any(_overlap(outline, other) for other in taken):
            continue
        placed = (quad + shift).astype(np.float32)
        if not bare:
            picture, centre = vehicle(plate, rng, scale)
            corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * (picture.shape[1], picture.shape[0])
            paste(image, picture, project(view, (corners - centre) / scale) + shift)
        else:
            paste(image, render_plate(plate, rng, int(np.clip(plate.size_mm[1] * scale, 20, 220))), placed)
        return placed, plate
    return None


def _overlap(a: NDArray[np.floating], b: NDArray[np.floating]) -> bool:
    return bool((a.min(axis=0) < b.max(axis=0)).all() and (b.min(axis=0) < a.max(axis=0)).all())
