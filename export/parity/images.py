"""Images that a bundle and Paddle are compared on: a user's own, or drawn ones.

A detector that was fine-tuned on plates finds only those that stand on vehicles, so two scenes come along,
cut out of the sample street (`samples/street.mp4`, drawn, with rendered plates).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np

from edge_lpr.errors import SourceError
from edge_lpr.io.image_io import read_image
from edge_lpr.io.sniff import IMAGE_SUFFIXES
from edge_lpr.io.walk import regular_files, unreadable
from edge_lpr.types import Image, Quad, Rng

__all__ = ["Scene", "probe_images", "read_images", "scenes"]

_MAX_SIDE = 1600
_SCENES = (
    ("scene-1.png", "苏E7K52M", ((109.1, 136.1), (198.7, 136.1), (198.7, 164.6), (109.1, 164.6))),
    ("scene-2.png", "粤BD30586", ((114.2, 136.4), (211.0, 136.4), (211.0, 164.6), (114.2, 164.6))),
)


@dataclass(frozen=True)
class Scene:
    """A small scene with one plate.

    Attributes:
        image: uint8 256×320×3 BGR.
        text: What the plate says.
        corners: The plate's, float32 4×2, in pixels.
    """

    image: Image
    text: str
    corners: Quad


def scenes() -> list[Scene]:
    """Returns the scenes that come along."""
    folder = files("edge_lpr.export") / "assets"
    found = []
    for name, text, corners in _SCENES:
        data = np.frombuffer((folder / name).read_bytes(), np.uint8)
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)
        assert image is not None, f"{name} is not as it was shipped"
        found.append(Scene(np.asarray(image, np.uint8), text, np.array(corners, np.float32)))
    return found


def read_images(
    folder: Path, limit: int, on_problem: Callable[[str], None] = lambda line: None
) -> dict[str, Image]:
    """Reads images for a comparison.

    Args:
        folder: Its images are taken in the order of their names, folders inside are left out.
        limit: At most so many, spread evenly over the folder.
        on_problem: Called with one line for each image that cannot be read or decoded; it is left out.

    Returns:
        uint8 H×W×3 BGR by file name; no side is longer than 1600 pixels.

    Raises:
        SourceError: No such folder, or no image in it that can be read.
    """
    try:
        found = sorted(p for p in folder.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
    except OSError as e:
        raise SourceError(f"{unreadable(folder, e)}; expected a folder of images") from e
    found = list(regular_files(found, on_problem))
    chosen = [found[i] for i in np.unique(np.linspace(0, len(found) - 1, min(limit, len(found))).astype(int))]
    images: dict[str, Image] = {}
    for file in chosen:
        try:
            image = read_image(file)
        except SourceError as e:
            on_problem(str(e))
            continue
        scale = _MAX_SIDE / max(image.shape[:2])
        if scale < 1:
            smaller = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            image = np.asarray(smaller, np.uint8)
        images[file.name] = image
    if not images:
        raise SourceError(f"{folder}: no image in it that can be read")
    return images


def probe_images(count: int, seed: int = 7) -> dict[str, Image]:
    """Draws images with text and a vehicle for a comparison, where the user gives none.

    A detector that was fine-tuned on plates finds the vehicle's, one that was not finds text.

    Args:
        count: How many.
        seed: The same seed draws the same images.

    Returns:
        uint8 H×W×3 BGR by name, between 480×640 and 720×1280 pixels.
    """
    return dict(_probes(count, np.random.default_rng(seed)))


def _probes(count: int, random: Rng) -> Iterator[tuple[str, Image]]:
    letters = np.array(list("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789"))
    vehicles = [scene.image for scene in scenes()]
    for i in range(count):
        height, width = ((480, 640), (720, 1280), (720, 960))[i % 3]
        coarse = random.integers(0, 256, (height // 80, width // 80, 3), np.uint8)
        image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
        for _ in range(4):
            text = "".join(random.choice(letters, 7))
            scale = float(random.uniform(1.0, 2.5))
            (w, h), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 3)
            x, y = int(random.integers(5, width - w - 5)), int(random.integers(h + 15, height - 15))
            dark = tuple(int(v) for v in random.integers(0, 120, 3))
            cv2.rectangle(image, (x - 8, y - h - 8), (x + w + 8, y + 8), dark, -1)
            cv2.putText(image, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, (250, 250, 250), 3, cv2.LINE_AA)
        vehicle = vehicles[i % len(vehicles)]
        h, w = vehicle.shape[:2]
        x, y = int(random.integers(width - w)), int(random.integers(height - h))
        image[y : y + h, x : x + w] = vehicle
        noise = random.normal(0, 6, image.shape)
        yield f"drawn {i + 1}", np.clip(image + noise, 0, 255).astype(np.uint8)
