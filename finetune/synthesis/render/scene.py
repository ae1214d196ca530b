"""Street scenes with rendered plates, for the detector.

A vehicle's rear or front is drawn flat with its plate, turned in space by a homography and set into a
background of plain shapes or a given photo, among signs and lettering that are no plates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edge_lpr.finetune.synthesis import corruptions
from edge_lpr.finetune.synthesis.render.parts import background, sign, vehicle
from edge_lpr.finetune.synthesis.render.plate import render_plate
from edge_lpr.finetune.synthesis.render.text import PlateMix, SyntheticPlate, sample_plate
from edge_lpr.finetune.synthesis.render.view import paste, plate_corners, project, turn
from edge_lpr.types import Image, Quad, Rng

__all__ = ["SceneSettings", "render_scene"]


@dataclass(frozen=True)
class SceneSettings:
    """What `render_scene` shows.

    Attributes:
        counts: Weights of 0, 1, 2, … plates in a scene.
        min_width: Smallest plate width in pixels; the largest is `max_share` of the image's width.
        max_share: Largest plate width as a share of the image's width.
        strength: Of the degradations, see `corruptions.camera`.
        photos: Backgrounds to use besides drawn ones; they must hold no plates.
        mix: What the plates say.
    """

    counts: tuple[float, ...] = (0.08, 0.5, 0.25, 0.12, 0.05)
    min_width: float = 44
    max_share: float = 0.95
    strength: float = 0.8
    photos: Sequence[Image] = ()
    mix: PlateMix = field(default_factory=lambda: PlateMix(two_rows=0.15))


def render_scene(
    rng: Rng, size: tuple[int, int] = (640, 640), settings: SceneSettings | None = None
) -> tuple[Image, list[tuple[Quad, SyntheticPlate]]]:
    """Draws a street scene with its true plates.

    Args:
        rng: Source of randomness.
        size: Width and height in pixels.
        settings: Counts, sizes and degradations; the defaults if None.

    Returns:
        uint8 H×W×3 BGR, and per plate its corners (float32 4×2, tl-tr-br-bl, pixels, within the image) and
        what stands on it.
    """
    settings = settings or SceneSettings()
    width, height = size
    image = background(width, height, rng, settings.photos)
    for _ in range(int(rng.integers(0, 4))):
        board = sign(rng)
        w = float(np.exp(rng.uniform(np.log(40), np.log(max(40.0, width * 0.5)))))
        view = turn((board.shape[1], board.shape[0]), w, rng, 0.6)
        h = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * (board.shape[1] / 2, board.shape[0] / 2)
        paste(image, board, project(view, h) + rng.uniform(0, 1, 2) * (width, height))
    weights = np.asarray(settings.counts, np.float64)
    count = int(rng.choice(len(weights), p=weights / weights.sum()))
    plates: list[tuple[Quad, SyntheticPlate]] = []
    for _ in range(count):
        placed = _place(image, rng, settings, [quad for quad, _ in plates])
        if placed is not None:
            plates.append(placed)
    heights = [float(np.linalg.norm(quad[3] - quad[0])) for quad, _ in plates]
    image = corruptions.camera(image, rng, min(heights, default=30.0), settings.strength)
    return image, plates


def _place(
    image: Image, rng: Rng, settings: SceneSettings, taken: list[Quad]
) -> tuple[Quad, SyntheticPlate] | None:
    """Draws one vehicle into a scene, where it hides no plate; None when there is no room."""
    height, width = image.shape[:2]
    plate = sample_plate(rng, settings.mix)
    for _ in range(8):
        wide = float(
            np.exp(
                rng.uniform(
                    np.log(settings.min_width), np.log(max(settings.min_width, width * settings.max_share))
                )
            )
        )
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
            body_image, centre = vehicle(plate, rng, scale)
            corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * (body_image.shape[1], body_image.shape[0])
            paste(image, body_image, project(view, (corners - centre) / scale) + shift)
        else:
            paste(image, render_plate(plate, rng, int(np.clip(plate.size_mm[1] * scale, 20, 220))), placed)
        return placed, plate
    return None


def _overlap(a: NDArray[np.floating], b: NDArray[np.floating]) -> bool:
    return bool((a.min(axis=0) < b.max(axis=0)).all() and (b.min(axis=0) < a.max(axis=0)).all())
