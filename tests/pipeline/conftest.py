"""What the tests of reading share: readers, and streets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_lpr.io.image_io import read_image
from edge_lpr.pipeline.reader import PlateReader
from edge_lpr.types import Image

Scene = Callable[..., NDArray[np.uint8]]
TEXT = "皖A13H25"


@pytest.fixture(scope="module")
def reader() -> Iterator[PlateReader]:
    # A small input keeps the tests fast; the plate is large enough for it.
    with PlateReader(settings={"det_limit_side_len": 256, "det_limit_type": "max"}, threads=1) as opened:
        yield opened


@pytest.fixture(scope="package")
def shipped_reader() -> Iterator[PlateReader]:
    """The reader as it is without any setting."""
    with PlateReader(threads=2) as opened:
        yield opened


@pytest.fixture
def street_image() -> Image:
    """The picture of the samples: two plates, a blue and a green one."""
    return read_image(Path(__file__).parents[2] / "samples" / "street.jpg")


@pytest.fixture
def street(tmp_path: Path, plate_scene: Scene) -> Path:
    """Twelve frames with a plate that moves, then sixty without one: the car has passed."""
    path = tmp_path / "street.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (320, 240))
    for i in range(12):
        writer.write(plate_scene(TEXT, 40 + 4 * i))
    for _ in range(60):
        writer.write(np.full((240, 320, 3), 110, np.uint8))
    writer.release()
    return path
