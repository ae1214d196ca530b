"""The sample street's drawings: vehicles and scenery, in millimetres and metres, as plain polygons."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_lpr.types import Color, Image

Point = tuple[float, float]

WIDTH, HEIGHT = 960, 540
FOCAL, HORIZON, EYE = 1250.0, 196.0, 1.6
"""A pinhole camera: focal length and horizon in pixels, height above the road in metres."""
PIXELS_PER_MM = 0.5
"""Of the drawn vehicles."""


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
        """The image and its coverage at `PIXELS_PER_MM`, lit from above."""
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


SHAPES: dict[str, tuple[float, float, Callable[[Canvas, Color], Point]]] = {
    "front": (2100, 1650, _front),
    "rear": (2100, 1650, _rear),
    "bus": (2500, 2900, _bus),
}


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
