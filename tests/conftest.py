"""What all tests share: where the real plates lie, where they do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real plates; skips where there is none, as in a fresh clone."""
    if not (SHARED / "plates.csv").is_file():
        pytest.skip("needs the real plates of ../shared/data, which are not part of the repository")
    return SHARED


@pytest.fixture(scope="session")
def plate_scene() -> Callable[..., NDArray[np.uint8]]:
    """Makes a 320×240 picture with a rendered plate that the default bundle reads: `plate_scene(text, x)`."""
    from edge_lpr.finetune.render_plate import Plate, render_plate

    def scene(text: str = "皖A13H25", x: int = 80, y: int = 90, kind: str = "blue") -> NDArray[np.uint8]:
        plate = render_plate(Plate(text, kind), np.random.default_rng(7), 140)
        plate = np.asarray(cv2.resize(plate, (160, 51), interpolation=cv2.INTER_AREA), np.uint8)
        image = np.full((240, 320, 3), 110, np.uint8)
        shown = plate[:, : max(0, 320 - x)]
        image[y : y + 51, x : x + shown.shape[1]] = shown
        return image

    return scene
