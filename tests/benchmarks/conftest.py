"""What tests of several benchmarks are made of."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_lpr.io.image_io import write_image
from edge_lpr.types import Image


@pytest.fixture
def scenes(tmp_path: Path, plate_scene: Callable[..., Image]) -> Path:
    """A folder of eight labelled scenes: the fourth and the eighth are held out."""
    folder = tmp_path / "data"
    folder.mkdir()
    points = [[40, 90], [200, 90], [200, 141], [40, 141]]
    label = json.dumps([{"transcription": "皖A13H25", "points": points}])
    for number in range(8):
        write_image(folder / f"{number}.png", plate_scene(x=40))
    lines = "".join(f"{number}.png\t{label}\n" for number in range(8))
    (folder / "det.txt").write_text(lines, encoding="utf-8")
    return folder
