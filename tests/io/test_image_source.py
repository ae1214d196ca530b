"""Images as a source: what is decoded ahead, and what is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_lpr.io import image_source
from edge_lpr.io.image_source import ImageSource


def make(path: Path, side: int, value: int) -> Path:
    cv2.imencode(".png", np.full((side, side, 3), value, np.uint8))[1].tofile(path)
    return path


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Names of the images that were decoded ahead, in order."""
    names: list[str] = []
    real = image_source.decode_image

    def record(data: bytes, name: str, max_pixels: int) -> np.ndarray:
        names.append(Path(name).name)
        return real(data, name, max_pixels)

    monkeypatch.setattr(image_source, "decode_image", record)
    return names


def test_the_next_image_is_decoded_ahead(tmp_path: Path, decoded: list[str]) -> None:
    paths = [make(tmp_path / f"{i}.png", 32, i) for i in range(3)]
    frames = list(ImageSource("p", paths, 100_000, lambda line: None))
    assert [int(f.image[0, 0, 0]) for f in frames] == [0, 1, 2]
    assert decoded == ["1.png", "2.png"]


def test_nothing_is_decoded_ahead_beyond_the_limit(tmp_path: Path, decoded: list[str]) -> None:
    sides = [32, 90, 90, 32, 32]  # two of 90 are more than 10,000 pixels, one and a small one are not
    paths = [make(tmp_path / f"{i}.png", side, i) for i, side in enumerate(sides)]
    frames = list(ImageSource("p", paths, 10_000, lambda line: None))
    assert [int(f.image[0, 0, 0]) for f in frames] == [0, 1, 2, 3, 4]
    assert decoded == ["1.png", "3.png", "4.png"]


def test_what_is_too_large_or_gone_is_left_out(tmp_path: Path) -> None:
    paths = [make(tmp_path / f"{i}.png", side, i) for i, side in enumerate([32, 200, 32])]
    told: list[str] = []
    source = ImageSource("p", [*paths[:2], tmp_path / "gone.png", paths[2]], 10_000, told.append)
    assert [f.index for f in source] == [0, 3]
    assert source.skipped == 2 and source.state == "done"
    assert "1.png: 200×200 pixels, more than the limit of 0.01 megapixels (--max-pixels)" in told[0]
    assert "gone.png: no such file" in told[1]
