"""A plane seen by a camera: homographies and pasting, and the colours that scenes and crops share."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_lpr.finetune.synthesis.render.text import SyntheticPlate
from edge_lpr.geometry import side_lengths
from edge_lpr.types import FloatColor, Image, Quad, Rng


def turn(size_mm: tuple[float, float], width: float, rng: Rng, spread: float = 1.0) -> NDArray[np.float64]:
    """A random view of a plane in space.

    Args:
        size_mm: Width and height of the plate in the plane, which is centred on it, in millimetres.
        width: Wanted width of the plate in the image in pixels, before turning.
        rng: Source of randomness.
        spread: Scales the angles.

    Returns:
        Homography 3×3 from the plane, millimetres from the plate's centre, to pixels from the view's centre.
    """
    wide = rng.random() < 0.35
    yaw = rng.normal(0, 32 if wide else 14) * spread
    pitch = rng.normal(8, 16 if wide else 8) * spread
    roll = rng.normal(0, 16 if wide else 4) * spread
    yaw, pitch, roll = np.radians(np.clip([yaw, pitch, roll], [-65, -40, -42], [65, 50, 42]))
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


def plate_corners(plate: SyntheticPlate) -> NDArray[np.float64]:
    """Corners in millimetres from the plate's centre, tl-tr-br-bl, 4×2."""
    w, h = plate.size_mm
    return np.array([[-w, -h], [w, -h], [w, h], [-w, h]]) / 2


def paste(canvas: Image, flat: Image, quad: NDArray[np.floating]) -> None:
    """Warps a flat image into a quadrilateral of a canvas, in place."""
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


def slanted(quad: NDArray[np.floating], across: float, down: float) -> Quad:
    """The quadrilateral whose crop shows a plate sheared, as that of a rectangle around it does.

    Args:
        quad: The plate's corners, 4×2, tl-tr-br-bl.
        across: Tangent of the angle by which the plate's sides lean in the crop.
        down: Tangent of the angle by which its lines of text climb there.

    Returns:
        float32 4×2 around the plate; with tangents of 0 its own corners.
    """
    top, right, bottom, left = side_lengths(np.asarray(quad, np.float32))
    width, height = max(1.0, (top + bottom) / 2), max(1.0, (right + left) / 2)
    flat = np.array([[0, 0], [width, 0], [width, height], [0, height]])
    shear = np.array([[1, across], [down, 1]])
    seen = flat @ shear.T
    (x0, y0), (x1, y1) = seen.min(axis=0), seen.max(axis=0)
    box = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]) @ np.linalg.inv(shear).T
    matrix = cv2.getPerspectiveTransform(flat.astype(np.float32), np.asarray(quad, np.float32))
    return project(np.asarray(matrix, np.float64), box).astype(np.float32)


def sample_slant(rng: Rng, amount: float = 1.0) -> tuple[float, float]:
    """Draws `across` and `down` of `slanted`: up to 35 and 12 degrees, times `amount`."""
    lean, climb = np.radians(rng.uniform(-1, 1, 2) * (35, 12) * amount)
    return float(np.tan(lean)), float(np.tan(climb))


def tone(rng: Rng, low: float = 10, high: float = 240, tint: float = 14) -> FloatColor:
    """A grey between two levels, with a tint of a deviation in grey levels."""
    level = rng.uniform(low, high)
    b, g, r = np.clip(level + rng.normal(0, tint, 3), 0, 255)
    return float(b), float(g), float(r)


def paint_color(rng: Rng) -> FloatColor:
    """A car's paint: mostly white, grey or black; blue and green ones are hard negatives."""
    if rng.random() < 0.7:
        return tone(rng, 15, 245, 5)
    hsv = rng.integers((0, 80, 50), (180, 240, 230)).astype(np.uint8)[None, None]
    b, g, r = cv2.cvtColor(hsv, cv2.COLOR_HSV2BGR)[0, 0]
    return float(b), float(g), float(r)


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
