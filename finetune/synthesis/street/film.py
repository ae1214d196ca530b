"""The sample street's vehicles, its frames, and the true plates in them.

Everything is drawn here and the texts are made up, so that the sample can be shipped freely.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_lpr.errors import OutputError
from edge_lpr.finetune.synthesis import corruptions
from edge_lpr.finetune.synthesis.render.plate import Style, render_plate, sample_style
from edge_lpr.finetune.synthesis.render.text import SyntheticPlate
from edge_lpr.finetune.synthesis.street.art import (
    EYE,
    FOCAL,
    HEIGHT,
    HORIZON,
    PIXELS_PER_MM,
    SHAPES,
    WIDTH,
    Canvas,
    street_background,
)
from edge_lpr.io.atomic_io import create_folder, write_bytes, write_json
from edge_lpr.io.video_io import VideoFile
from edge_lpr.types import Color, Image, Rng

FPS = 12
SECONDS = 8.0
STILL = 0.9
"""When the still is taken, in seconds."""
READABLE = 56.0
"""Plate width in pixels from which on a plate counts as seen."""


@dataclass(frozen=True)
class Trajectory:
    """One vehicle's way past the camera.

    Attributes:
        plate: What its plate says.
        shape: "front", "rear" or "bus".
        paint: Colour of the body, BGR.
        side: Lateral place of its middle in metres, left of the camera negative.
        start: Distance from the camera at time 0 in metres.
        speed: Metres per second; negative towards the camera.
        extra: "police" and "taxi" add a light bar or a roof sign.
        stop: When it stops, and for how long, in seconds.
    """

    plate: SyntheticPlate
    shape: str
    paint: Color
    side: float
    start: float
    speed: float
    extra: str = ""
    stop: tuple[float, float] = (0.0, 0.0)

    def distance(self, time: float) -> float:
        """Metres from the camera at a time in seconds."""
        begins, lasts = self.stop
        return self.start + self.speed * (time - min(max(time - begins, 0.0), lasts))


STREET = (
    Trajectory(SyntheticPlate("苏E7K52M", "blue"), "front", (190, 186, 180), -1.6, 13.5, -5.2),
    Trajectory(SyntheticPlate("粤BD30586", "green"), "rear", (226, 226, 224), 1.6, 4.9, 2.6),
    Trajectory(SyntheticPlate("京N4H916", "blue"), "front", (46, 40, 150), -1.6, 26.0, -5.4),
    Trajectory(SyntheticPlate("浙A62318", "yellow"), "bus", (70, 150, 60), -1.62, 43.0, -5.6),
    Trajectory(SyntheticPlate("川A3509警", "police"), "rear", (235, 235, 235), 1.55, -1.5, 1.8, "police"),
    Trajectory(SyntheticPlate("鲁B8M27学", "learner"), "rear", (150, 96, 40), 1.55, -10.75, 2.5, "taxi"),
)


@dataclass(frozen=True)
class Vehicle:
    """A drawn vehicle: image, coverage, and the plate's corners in the image, pixels."""

    color: Image
    alpha: Image
    corners: NDArray[np.float64]

    def at(self, trajectory: Trajectory, time: float) -> tuple[float, NDArray[np.float64]] | None:
        """Scale and plate corners in the frame at a time in seconds; None out of the road's length."""
        distance = trajectory.distance(time)
        if not 3.2 < distance < 60:
            return None
        scale = FOCAL / distance / 1000 / PIXELS_PER_MM
        return scale, self.corners * scale + self.origin(trajectory, distance, scale)

    def origin(self, trajectory: Trajectory, distance: float, scale: float) -> NDArray[np.float64]:
        """Where the image's top left corner lies in the frame."""
        x = WIDTH / 2 + FOCAL * trajectory.side / distance
        ground = HORIZON + FOCAL * EYE / distance
        return np.array([x - self.color.shape[1] / 2 * scale, ground - self.color.shape[0] * scale])


def make_vehicle(trajectory: Trajectory, rng: Rng) -> Vehicle:
    """Draws a trajectory's vehicle with its plate."""
    width, height, paint = SHAPES[trajectory.shape]
    canvas = Canvas(width, height)
    x, y = paint(canvas, trajectory.paint)
    if trajectory.extra == "police":
        canvas.both([(-880, 585), (-880, 630)], (170, 70, 20))
        canvas.polygon([(-420, 1450), (0, 1450), (0, 1545), (-400, 1545)], (40, 40, 215))
        canvas.polygon([(420, 1450), (0, 1450), (0, 1545), (400, 1545)], (215, 80, 30))
        paint(canvas, trajectory.paint)
    if trajectory.extra == "taxi":
        canvas.both([(-230, 1440), (-210, 1580)], (60, 200, 245))
    w, h = trajectory.plate.size_mm
    canvas.both([(x - w / 2 - 14, y - h / 2 - 14), (x - w / 2 - 14, y + h / 2 + 14)], (40, 40, 40))
    corners = np.array(
        [(x - w / 2, y + h / 2), (x + w / 2, y + h / 2), (x + w / 2, y - h / 2), (x - w / 2, y - h / 2)]
    )
    color, alpha = canvas.finish()
    spots = (corners * (1, -1) + (width / 2, height)) * PIXELS_PER_MM
    style = _plain(sample_style(trajectory.plate, rng))
    flat = render_plate(trajectory.plate, rng, round(h * PIXELS_PER_MM), style)
    x0, y0 = (round(float(v)) for v in spots[0])
    color[y0 : y0 + flat.shape[0], x0 : x0 + flat.shape[1]] = flat
    return Vehicle(color, alpha, spots)


def _plain(style: Style) -> Style:
    """The ordinary look: the drawn typeface, middle weight, with a frame line."""
    return replace(style, font="strokes", weight=2, frame=3.0)


def _put(
    frame: Image, vehicle: Vehicle, trajectory: Trajectory, time: float, zoom: float
) -> tuple[NDArray[np.float64], NDArray[np.float32]] | None:
    """Draws a vehicle with its shadow into a frame; returns its plate's corners and what it covers, H×W×1."""
    spot = vehicle.at(trajectory, time)
    if spot is None:
        return None
    scale, corners = spot[0] * zoom, spot[1] * zoom
    origin = vehicle.origin(trajectory, trajectory.distance(time), spot[0]) * zoom
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
    size = (frame.shape[1], frame.shape[0])
    mask = cv2.warpAffine(alpha, matrix, size, flags=cv2.INTER_LINEAR)[..., None] / np.float32(255)
    body = cv2.warpAffine(color, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    frame[:] = (frame + (body.astype(np.float32) - frame) * mask + 0.5).astype(np.uint8)
    return corners, mask


def _covered(corners: NDArray[np.float64], cover: NDArray[np.float32]) -> bool:
    """Whether a nearer vehicle hides part of a plate."""
    x0, y0, x1, y1 = (int(v) for v in (*np.floor(corners.min(axis=0)), *np.ceil(corners.max(axis=0))))
    return bool((cover[y0 : y1 + 1, x0 : x1 + 1] > 0.3).any())


def _outside(corners: NDArray[np.float64], zoom: float = 1.0) -> bool:
    """Whether a plate leaves the frame or is too far to read."""
    low, high = corners.min(axis=0), corners.max(axis=0)
    limit = np.array([WIDTH, HEIGHT]) * zoom - 1
    return bool((low < 0).any() or (high > limit).any() or high[0] - low[0] < READABLE * zoom)


def film(
    trajectories: Sequence[Trajectory],
    seconds: float = SECONDS,
    fps: float = FPS,
    *,
    seed: int = 5,
    zoom: float = 1.0,
    light: float = 1.0,
    noise: float = 1.2,
) -> Iterator[tuple[Image, dict[int, NDArray[np.float64]]]]:
    """Draws a video of vehicles on the street, frame by frame.

    Args:
        trajectories: The vehicles.
        seconds: How long it is.
        fps: Frames per second.
        seed: Of what is drawn at random.
        zoom: How much larger than the sample street the frames are.
        light: What is left of the light, 0 to 1.
        noise: The most that the camera's noise deviates, in levels of 255; each frame draws from 1 up to it.

    Yields:
        Each frame, uint8 H×W×3 BGR, and the corners of the plates that can be read in it, by the vehicle's
        index.
    """
    rng = np.random.default_rng(seed)
    vehicles = [make_vehicle(trajectory, rng) for trajectory in trajectories]
    scenery = street_background()
    if zoom != 1:
        size = (round(WIDTH * zoom), round(HEIGHT * zoom))
        scenery = np.asarray(cv2.resize(scenery, size, interpolation=cv2.INTER_CUBIC), np.uint8)
    for index in range(round(seconds * fps)):
        time = index / fps
        frame = scenery.copy()
        seen: dict[int, NDArray[np.float64]] = {}
        for i in sorted(range(len(trajectories)), key=lambda i: -trajectories[i].distance(time)):
            drawn = _put(frame, vehicles[i], trajectories[i], time, zoom)
            if drawn is None:
                continue
            corners, cover = drawn
            seen = {other: where for other, where in seen.items() if not _covered(where, cover)}
            if not _outside(corners, zoom):
                seen[i] = corners
        soft = np.asarray(cv2.GaussianBlur(frame, (0, 0), 0.6 * zoom), np.uint8)
        if light != 1:
            soft = np.asarray(cv2.convertScaleAbs(soft, alpha=light), np.uint8)
        yield corruptions.noise(soft, rng, noise), seen


def frames(seed: int = 5) -> tuple[list[Image], list[dict[int, NDArray[np.float64]]]]:
    """Draws the whole video.

    Returns:
        The frames, uint8 HEIGHT×WIDTH×3 BGR, and per trajectory of `STREET` its visible plate corners
        by frame.
    """
    images: list[Image] = []
    seen: list[dict[int, NDArray[np.float64]]] = [{} for _ in STREET]
    for index, (image, places) in enumerate(film(STREET, seed=seed)):
        images.append(image)
        for i, corners in places.items():
            seen[i][index] = corners
    return images, seen


def truth(seen: list[dict[int, NDArray[np.float64]]]) -> dict[str, Any]:
    """The video's plates as its JSON file holds them."""
    plates = []
    for trajectory, places in zip(STREET, seen, strict=True):
        first, last = min(places), max(places)
        plates.append(
            {
                "text": trajectory.plate.text,
                "kind": trajectory.plate.kind,
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
    """Writes the video, the still and their truth into a folder, which is made if missing.

    Raises:
        OutputError: The folder cannot be written to, or one of them cannot be encoded or written.
    """
    create_folder(folder)
    images, seen = frames()
    video = VideoFile(folder / "street.mp4", FPS)
    for number, image in enumerate(images):
        video.write(image, number / FPS)
    video.close()
    still = round(STILL * FPS)
    ok, data = cv2.imencode(".jpg", images[still], [cv2.IMWRITE_JPEG_QUALITY, 92])
    if not ok:
        raise OutputError(f"OpenCV cannot encode {folder / 'street.jpg'}")
    write_bytes(folder / "street.jpg", data.tobytes())
    facts = {"street.mp4": truth(seen), "street.jpg": still_truth(seen, still)}
    write_json(folder / "street.json", facts, indent=None)
