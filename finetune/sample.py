"""The sample street: a short drawn video with rendered plates, and the truth beside it.

    python -m edge_lpr.finetune.sample --out samples/

writes `street.mp4`, `street.jpg` (a frame with two plates) and `street.json`, which holds the true plates
of both. Everything is drawn here and the texts are made up, so that the sample can be shipped freely.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_lpr.finetune import degrade
from edge_lpr.finetune.render_plate import Plate, Style, render_plate, sample_style

Image = NDArray[np.uint8]
Color = tuple[int, int, int]
Point = tuple[float, float]

WIDTH, HEIGHT, FPS = 960, 540, 12
SECONDS = 8.0
FOCAL, HORIZON, EYE = 1250.0, 196.0, 1.6
"""A pinhole camera: focal length and horizon in pixels, height above the road in metres."""
PIXELS_PER_MM = 0.5
STILL = 0.9
"""When the still is taken, in seconds."""
READABLE = 56.0
"""Plate width in pixels from which on a plate counts as seen."""


@dataclass(frozen=True)
class Passage:
    """One vehicle's way past the camera.

    Attributes:
        plate: What its plate says.
        shape: "front", "rear" or "bus".
        paint: Colour of the body, BGR.
        side: Lateral place of its middle in metres, left of the camera negative.
        start: Distance from the camera at time 0 in metres.
        speed: Metres per second; negative towards the camera.
        extra: "police" and "taxi" add a light bar or a roof sign.
    """

    plate: Plate
    shape: str
    paint: Color
    side: float
    start: float
    speed: float
    extra: str = ""


STREET = (
    Passage(Plate("苏E7K52M", "blue"), "front", (190, 186, 180), -1.6, 13.5, -5.2),
    Passage(Plate("粤BD30586", "green"), "rear", (226, 226, 224), 1.6, 4.9, 2.6),
    Passage(Plate("京N4H916", "blue"), "front", (46, 40, 150), -1.6, 26.0, -5.4),
    Passage(Plate("浙A62318", "yellow"), "bus", (70, 150, 60), -1.62, 43.0, -5.6),
    Passage(Plate("川A3509警", "police"), "rear", (235, 235, 235), 1.55, -1.5, 1.8, "police"),
    Passage(Plate("鲁B8M27学", "learner"), "rear", (150, 96, 40), 1.55, -10.75, 2.5, "taxi"),
)


class Canvas:
    """A drawing board in millimetres: x from the vehicle's middle, y up from the ground."""

    def __init__(self, width: float, height: float) -> None:
        self.scale = 2 * PIXELS_PER_MM
        self.width, self.height = width, height
        shape = (round(height * self.scale), round(width * self.scale))
        self.color = np.zeros((*shape, 3), np.uint8)
        self.alpha = np.zeros(shape, np.uint8)

    def place(self, points: Sequence[Point]) -> NDArray[np.int32]:
        """Pixels, with four binary places, of points in millimetres."""
        out = [((x + self.width / 2) * self.scale, (self.height - y) * self.scale) for x, y in points]
        return np.round(np.asarray(out) * 16).astype(np.int32)

    def polygon(self, points: Sequence[Point], color: Color, mirror: bool = False) -> None:
        """Fills a convex polygon, and its mirror image where asked."""
        cv2.fillConvexPoly(self.color, self.place(points), color, cv2.LINE_AA, shift=4)
        cv2.fillConvexPoly(self.alpha, self.place(points), 255, cv2.LINE_AA, shift=4)
        if mirror:
            self.polygon([(-x, y) for x, y in points], color)

    def both(self, left: Sequence[Point], color: Color) -> None:
        """Fills the polygon whose left half is given from bottom to top."""
        self.polygon([*left, *((-x, y) for x, y in reversed(left))], color)

    def line(self, points: Sequence[Point], color: Color, thickness: float) -> None:
        """Draws an open line, thickness in millimetres."""
        thick = max(1, round(thickness * self.scale))
        cv2.polylines(self.color, [self.place(points)], False, color, thick, cv2.LINE_AA, shift=4)

    def disc(self, centre: Point, radius: float, color: Color) -> None:
        """Fills a circle, radius in millimetres."""
        x, y = (int(v) for v in self.place([centre])[0])
        cv2.circle(self.color, (x, y), round(radius * self.scale * 16), color, -1, cv2.LINE_AA, shift=4)

    def finish(self) -> tuple[Image, Image]:
        """The picture and its coverage at `PIXELS_PER_MM`, lit from above."""
        light = np.linspace(1.12, 0.82, self.color.shape[0], dtype=np.float32)[:, None, None]
        color = np.clip(self.color * light, 0, 255).astype(np.uint8)
        half = (self.color.shape[1] // 2, self.color.shape[0] // 2)
        return (
            np.asarray(cv2.resize(color, half, interpolation=cv2.INTER_AREA), np.uint8),
            np.asarray(cv2.resize(self.alpha, half, interpolation=cv2.INTER_AREA), np.uint8),
        )


def shade(color: Color, factor: float) -> Color:
    """A darker or lighter colour."""
    b, g, r = (int(np.clip(c * factor, 0, 255)) for c in color)
    return b, g, r


def _car(canvas: Canvas, paint: Color) -> None:
    """What a saloon's front and rear share: wheels, body, cabin."""
    canvas.polygon([(-870, 0), (-680, 0), (-680, 340), (-870, 340)], (26, 26, 26), mirror=True)
    canvas.both([(-800, 190), (-890, 260), (-905, 560), (-880, 760), (-800, 880), (-690, 930)], paint)
    canvas.both([(-770, 900), (-640, 1290), (-560, 1405), (-420, 1450)], shade(paint, 0.92))
    canvas.polygon([(-1000, 905), (-850, 880), (-850, 960), (-985, 985)], shade(paint, 0.8), mirror=True)
    canvas.both([(-700, 925), (-590, 1270), (-530, 1370), (-420, 1395)], (52, 46, 40))
    canvas.polygon([(-560, 940), (-300, 940), (-90, 1380), (-250, 1385)], (84, 78, 70))


def _front(canvas: Canvas, paint: Color) -> Point:
    _car(canvas, paint)
    canvas.line([(-780, 890), (-300, 800), (300, 800), (780, 890)], shade(paint, 0.72), 12)
    canvas.both([(-380, 570), (-470, 740)], (34, 32, 32))
    for y in (610, 655, 700):
        canvas.line([(-400 - (y - 610) * 0.5, y), (400 + (y - 610) * 0.5, y)], (150, 150, 150), 9)
    canvas.disc((0, 690), 58, (205, 205, 205))
    canvas.disc((0, 690), 40, (60, 60, 60))
    canvas.polygon([(-860, 690), (-540, 620), (-520, 730), (-840, 800)], (215, 215, 208), mirror=True)
    canvas.disc((-690, 708), 48, (250, 250, 250))
    canvas.disc((690, 708), 48, (250, 250, 250))
    canvas.both([(-820, 200), (-860, 330)], shade(paint, 0.55))
    canvas.both([(-420, 235), (-500, 330)], (30, 30, 30))
    canvas.polygon([(-790, 290), (-620, 290), (-640, 370), (-800, 380)], (60, 58, 56), mirror=True)
    return 0.0, 450.0


def _rear(canvas: Canvas, paint: Color) -> Point:
    _car(canvas, paint)
    canvas.line([(-800, 870), (800, 870)], shade(paint, 0.7), 12)
    canvas.line([(-560, 560), (-520, 860)], shade(paint, 0.75), 9)
    canvas.line([(560, 560), (520, 860)], shade(paint, 0.75), 9)
    canvas.polygon([(-885, 640), (-590, 660), (-560, 820), (-850, 830)], (38, 30, 190), mirror=True)
    canvas.polygon([(-850, 730), (-600, 735), (-590, 770), (-845, 775)], (70, 120, 235), mirror=True)
    canvas.line([(-870, 540), (870, 540)], shade(paint, 0.66), 12)
    canvas.both([(-300, 590), (-330, 790)], shade(paint, 0.6))
    canvas.line([(-300, 800), (300, 800)], (200, 200, 200), 18)
    canvas.both([(-820, 195), (-850, 310)], (44, 44, 44))
    canvas.polygon([(-560, 225), (-440, 225), (-440, 270), (-560, 270)], (150, 150, 150), mirror=True)
    return 0.0, 690.0


def _bus(canvas: Canvas, paint: Color) -> Point:
    canvas.polygon([(-1120, 0), (-840, 0), (-840, 420), (-1120, 420)], (26, 26, 26), mirror=True)
    canvas.both([(-1180, 220), (-1190, 2500), (-1100, 2760), (-900, 2800)], paint)
    canvas.both([(-1110, 1080), (-1110, 2280), (-1040, 2360)], (48, 44, 40))
    canvas.polygon([(-900, 1100), (-420, 1100), (-60, 2340), (-420, 2340)], (80, 74, 66))
    canvas.both([(-720, 2440), (-720, 2640)], (24, 24, 24))
    for i in range(9):
        canvas.line([(-560 + 130 * i, 2490), (-520 + 130 * i, 2590)], (60, 190, 250), 26)
    canvas.line([(-1180, 1000), (1180, 1000)], shade(paint, 1.5), 60)
    canvas.polygon([(-1090, 620), (-720, 620), (-720, 820), (-1090, 820)], (225, 225, 218), mirror=True)
    canvas.both([(-420, 640), (-420, 860)], (34, 34, 34))
    canvas.both([(-1160, 230), (-1160, 420)], (50, 50, 50))
    return 0.0, 520.0


_SHAPES: dict[str, tuple[float, float, Callable[[Canvas, Color], Point]]] = {
    "front": (2100, 1650, _front),
    "rear": (2100, 1650, _rear),
    "bus": (2500, 2900, _bus),
}


@dataclass(frozen=True)
class Vehicle:
    """A drawn vehicle: picture, coverage, and the plate's corners in the picture, pixels."""

    color: Image
    alpha: Image
    corners: NDArray[np.float64]

    def at(self, passage: Passage, time: float) -> tuple[float, NDArray[np.float64]] | None:
        """Scale and plate corners in the frame at a time in seconds; None out of the road's length."""
        distance = passage.start + passage.speed * time
        if not 3.2 < distance < 60:
            return None
        scale = FOCAL / distance / 1000 / PIXELS_PER_MM
        return scale, self.corners * scale + self.origin(passage, distance, scale)

    def origin(self, passage: Passage, distance: float, scale: float) -> NDArray[np.float64]:
        """Where the picture's top left corner lies in the frame."""
        x = WIDTH / 2 + FOCAL * passage.side / distance
        ground = HORIZON + FOCAL * EYE / distance
        return np.array([x - self.color.shape[1] / 2 * scale, ground - self.color.shape[0] * scale])


def make_vehicle(passage: Passage, rng: np.random.Generator) -> Vehicle:
    """Draws a passage's vehicle with its plate."""
    width, height, paint = _SHAPES[passage.shape]
    canvas = Canvas(width, height)
    x, y = paint(canvas, passage.paint)
    if passage.extra == "police":
        canvas.both([(-880, 585), (-880, 630)], (170, 70, 20))
        canvas.polygon([(-420, 1450), (0, 1450), (0, 1545), (-400, 1545)], (40, 40, 215))
        canvas.polygon([(420, 1450), (0, 1450), (0, 1545), (400, 1545)], (215, 80, 30))
        paint(canvas, passage.paint)
    if passage.extra == "taxi":
        canvas.both([(-230, 1440), (-210, 1580)], (60, 200, 245))
    w, h = passage.plate.size_mm
    canvas.both([(x - w / 2 - 14, y - h / 2 - 14), (x - w / 2 - 14, y + h / 2 + 14)], (40, 40, 40))
    corners = np.array(
        [(x - w / 2, y + h / 2), (x + w / 2, y + h / 2), (x + w / 2, y - h / 2), (x - w / 2, y - h / 2)]
    )
    color, alpha = canvas.finish()
    spots = (corners * (1, -1) + (width / 2, height)) * PIXELS_PER_MM
    style = _plain(sample_style(passage.plate, rng))
    flat = render_plate(passage.plate, rng, round(h * PIXELS_PER_MM), style)
    x0, y0 = (round(float(v)) for v in spots[0])
    color[y0 : y0 + flat.shape[0], x0 : x0 + flat.shape[1]] = flat
    return Vehicle(color, alpha, spots)


def _plain(style: Style) -> Style:
    """The ordinary look: the drawn typeface, middle weight, with a frame line."""
    return Style("strokes", 2, style.ink, style.base, style.base_low, style.accent, 3.0)


def street_background() -> Image:
    """Sky, houses, trees and a two-lane road to the horizon."""
    rng = np.random.default_rng(4)
    big = np.zeros((HEIGHT * 2, WIDTH * 2, 3), np.uint8)
    horizon = round(HORIZON * 2)
    ramp = np.linspace(0, 1, horizon, dtype=np.float32)[:, None, None]
    big[:horizon] = (np.array([225, 190, 160]) * (1 - ramp) + np.array([232, 226, 218]) * ramp).astype(
        np.uint8
    )
    for x in range(-40, WIDTH * 2, 150):
        w, h = int(rng.integers(110, 190)), int(rng.integers(80, 330))
        tone = int(rng.integers(120, 200))
        front = (tone, tone - 6, tone - 12)
        cv2.rectangle(big, (x, horizon - h), (x + w, horizon), front, -1)
        for wy in range(horizon - h + 16, horizon - 20, 34):
            for wx in range(x + 12, x + w - 16, 30):
                cv2.rectangle(big, (wx, wy), (wx + 15, wy + 18), shade(front, 0.72), -1)
    cv2.rectangle(big, (0, horizon), (WIDTH * 2, HEIGHT * 2), (104, 128, 112), -1)

    def ground(side: float, distance: float) -> tuple[int, int]:
        return (
            round(2 * (WIDTH / 2 + FOCAL * side / distance)),
            round(2 * (HORIZON + FOCAL * EYE / distance)),
        )

    def strip(left: float, right: float, near: float, far: float, color: Color) -> None:
        points = [ground(left, near), ground(right, near), ground(right, far), ground(left, far)]
        cv2.fillConvexPoly(big, np.array(points), color, cv2.LINE_AA)

    strip(-5.4, 5.4, 2, 400, (150, 152, 154))
    strip(-4.2, 4.2, 2, 400, (92, 90, 88))
    for edge in (-3.9, 3.8):
        strip(edge, edge + 0.12, 2, 400, (214, 214, 214))
    for near in np.arange(2, 120, 6.0):
        strip(-0.08, 0.08, float(near), float(near) + 3, (214, 214, 214))
    for distance in (60, 44, 33, 25, 19, 14.5):
        for side in (-7.2, 7.4):
            x, y = ground(side, distance)
            size = FOCAL * 2 / distance
            cv2.rectangle(
                big,
                (round(x - 0.12 * size), round(y - 2.2 * size)),
                (round(x + 0.12 * size), y),
                (52, 66, 82),
                -1,
            )
            for _ in range(40):
                dx, dy = rng.normal(0, 0.75 * size), rng.normal(-3.4 * size, 0.8 * size)
                green = (int(rng.integers(48, 72)), int(rng.integers(92, 130)), int(rng.integers(62, 88)))
                cv2.circle(big, (round(x + dx), round(y + dy)), round(0.5 * size), green, -1, cv2.LINE_AA)
    small = np.asarray(cv2.resize(big, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), np.uint8)
    # Out of focus behind the vehicles; it also keeps the video small.
    far = round(HORIZON * 1.15)
    small[:far] = cv2.GaussianBlur(small, (0, 0), 2.6)[:far]
    small[far:] = cv2.GaussianBlur(small, (0, 0), 1.2)[far:]
    return small


def _put(
    frame: Image, vehicle: Vehicle, passage: Passage, time: float
) -> tuple[NDArray[np.float64], NDArray[np.float32]] | None:
    """Draws a vehicle with its shadow into a frame; returns its plate's corners and what it covers, H×W×1."""
    spot = vehicle.at(passage, time)
    if spot is None:
        return None
    scale, corners = spot
    origin = vehicle.origin(passage, passage.start + passage.speed * time, scale)
    h, w = vehicle.alpha.shape
    foot = (round(float(origin[0] + w * scale / 2)), round(float(origin[1] + h * scale)))
    shadow = np.zeros(frame.shape[:2], np.uint8)
    cv2.ellipse(shadow, foot, (round(w * scale * 0.46), max(1, round(w * scale * 0.045))), 0, 0, 360, 170, -1)
    dark = cv2.GaussianBlur(shadow, (0, 0), max(0.8, w * scale * 0.012))[..., None] / np.float32(255)
    frame[:] = (frame * (1 - 0.75 * dark)).astype(np.uint8)
    # Halve before warping: bilinear sampling alone would flicker.
    color, alpha, step = vehicle.color, vehicle.alpha, scale
    while step < 0.6:
        half = (color.shape[1] // 2, color.shape[0] // 2)
        color = np.asarray(cv2.resize(color, half, interpolation=cv2.INTER_AREA), np.uint8)
        alpha = np.asarray(cv2.resize(alpha, half, interpolation=cv2.INTER_AREA), np.uint8)
        step *= 2
    matrix = np.array([[step, 0, origin[0] + step / 2 - 0.5], [0, step, origin[1] + step / 2 - 0.5]])
    size = (WIDTH, HEIGHT)
    mask = cv2.warpAffine(alpha, matrix, size, flags=cv2.INTER_LINEAR)[..., None] / np.float32(255)
    body = cv2.warpAffine(color, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    frame[:] = (frame + (body.astype(np.float32) - frame) * mask + 0.5).astype(np.uint8)
    return corners, mask


def _covered(corners: NDArray[np.float64], cover: NDArray[np.float32]) -> bool:
    """Whether a nearer vehicle hides part of a plate."""
    x0, y0, x1, y1 = (int(v) for v in (*np.floor(corners.min(axis=0)), *np.ceil(corners.max(axis=0))))
    return bool((cover[y0 : y1 + 1, x0 : x1 + 1] > 0.3).any())


def _outside(corners: NDArray[np.float64]) -> bool:
    """Whether a plate leaves the frame or is too far to read."""
    low, high = corners.min(axis=0), corners.max(axis=0)
    return bool((low < 0).any() or high[0] > WIDTH - 1 or high[1] > HEIGHT - 1 or high[0] - low[0] < READABLE)


def frames(seed: int = 8) -> tuple[list[Image], list[dict[int, NDArray[np.float64]]]]:
    """Draws the whole video.

    Returns:
        The frames, uint8 HEIGHT×WIDTH×3 BGR, and per passage of `STREET` its visible plate corners by frame.
    """
    rng = np.random.default_rng(seed)
    vehicles = [make_vehicle(passage, rng) for passage in STREET]
    scenery = street_background()
    pictures: list[Image] = []
    seen: list[dict[int, NDArray[np.float64]]] = [{} for _ in STREET]
    for index in range(round(SECONDS * FPS)):
        time = index / FPS
        frame = scenery.copy()
        order = sorted(range(len(STREET)), key=lambda i: -(STREET[i].start + STREET[i].speed * time))
        for i in order:
            drawn = _put(frame, vehicles[i], STREET[i], time)
            if drawn is None:
                continue
            corners, cover = drawn
            for other in seen:
                if index in other and _covered(other[index], cover):
                    del other[index]
            if not _outside(corners):
                seen[i][index] = corners
        soft = np.asarray(cv2.GaussianBlur(frame, (0, 0), 0.6), np.uint8)
        pictures.append(degrade.noise(soft, rng, 1.2))
    return pictures, seen


def truth(seen: list[dict[int, NDArray[np.float64]]]) -> dict[str, Any]:
    """The video's plates as its JSON file holds them."""
    plates = []
    for passage, places in zip(STREET, seen, strict=True):
        first, last = min(places), max(places)
        plates.append(
            {
                "text": passage.plate.text,
                "kind": passage.plate.kind,
                "first_seen": round(first / FPS, 3),
                "last_seen": round(last / FPS, 3),
                "first_frame": first,
                "last_frame": last,
                "corners": {str(i): np.round(c, 1).tolist() for i, c in places.items()},
            }
        )
    return {"width": WIDTH, "height": HEIGHT, "fps": FPS, "plates": plates}


def still_truth(seen: list[dict[int, NDArray[np.float64]]], index: int) -> dict[str, Any]:
    """One frame's plates as the JSON file holds them."""
    plates = [
        {"text": p.plate.text, "kind": p.plate.kind, "corners": np.round(places[index], 1).tolist()}
        for p, places in zip(STREET, seen, strict=True)
        if index in places
    ]
    return {"width": WIDTH, "height": HEIGHT, "plates": plates}


def write(folder: Path) -> None:
    """Writes the video, the still and their truth into a folder, which is made if missing."""
    folder.mkdir(parents=True, exist_ok=True)
    pictures, seen = frames()
    writer = cv2.VideoWriter(
        str(folder / "street.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), FPS, (WIDTH, HEIGHT)
    )
    if not writer.isOpened():
        raise OSError(f"OpenCV cannot write {folder / 'street.mp4'}: this build has no MPEG-4 encoder")
    for picture in pictures:
        writer.write(picture)
    writer.release()
    still = round(STILL * FPS)
    ok, data = cv2.imencode(".jpg", pictures[still], [cv2.IMWRITE_JPEG_QUALITY, 92])
    if not ok:
        raise OSError(f"OpenCV cannot encode {folder / 'street.jpg'}")
    (folder / "street.jpg").write_bytes(data.tobytes())
    facts = {"street.mp4": truth(seen), "street.jpg": still_truth(seen, still)}
    (folder / "street.json").write_text(json.dumps(facts, ensure_ascii=False) + "\n", encoding="utf-8")


def main(argv: list[str] | None = None) -> int:
    """Makes the sample."""
    parser = argparse.ArgumentParser(prog="python -m edge_lpr.finetune.sample", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("samples"), help="folder to write to")
    write(parser.parse_args(argv).out)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
