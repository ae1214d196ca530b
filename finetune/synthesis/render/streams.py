"""Training images without end: crops for the recognizer, scenes for the detector."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edge_lpr.finetune.synthesis.render.crop import CropSettings, render_crop
from edge_lpr.finetune.synthesis.render.scene import SceneSettings, render_scene
from edge_lpr.finetune.synthesis.render.text import PlateMix, SyntheticPlate, sample_plate
from edge_lpr.types import Image, Quad

__all__ = ["crops", "scenes"]


def crops(
    seed: int, mix: PlateMix | None = None, settings: CropSettings | None = None
) -> Iterator[tuple[Image, SyntheticPlate]]:
    """Draws recognizer samples without end: a crop, uint8 H×W×3 BGR of natural size, and its plate.

    The same seed gives the same stream; seeds of parallel workers must differ.
    """
    rng = np.random.default_rng(seed)
    while True:
        plate = sample_plate(rng, mix)
        yield render_crop(plate, rng, settings), plate


def scenes(
    seed: int, size: tuple[int, int] = (640, 640), settings: SceneSettings | None = None
) -> Iterator[tuple[Image, list[tuple[Quad, SyntheticPlate]]]]:
    """Draws detector samples without end: a scene, uint8 H×W×3 BGR, and its plates' corners and texts."""
    rng = np.random.default_rng(seed)
    while True:
        yield render_scene(rng, size, settings)
