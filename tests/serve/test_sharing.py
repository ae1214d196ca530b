"""Pictures for sharing: no plate is left readable, the rest is as it was."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edge_lpr import PlateReader
from edge_lpr.io.image_io import read_image
from edge_lpr.serve.sharing import _parts, blurred
from edge_lpr.types import Image

SAMPLES = Path(__file__).parents[2] / "samples"


@pytest.fixture(scope="module")
def reader() -> Iterator[PlateReader]:
    """A reader that takes nearly anything for a plate."""
    with PlateReader(precision="fp32", settings={"min_score": 0.05, "any_text": True}) as opened:
        yield opened


@pytest.fixture(scope="module")
def street() -> Image:
    """The sample picture."""
    return read_image(SAMPLES / "street.jpg")


@pytest.fixture(scope="module")
def shared(reader: PlateReader, street: Image) -> Image:
    """What may be shown of it."""
    before = street.copy()
    made = blurred(street, reader)
    assert np.array_equal(street, before)
    return made


def test_no_plate_is_read_any_more(reader: PlateReader, street: Image, shared: Image) -> None:
    plates = json.loads((SAMPLES / "street.json").read_text(encoding="utf-8"))["street.jpg"]["plates"]
    assert {read.text for read in reader.read(street)} >= {plate["text"] for plate in plates}
    for read in reader.read(shared):
        assert all(_common(read.text, plate["text"]) < 3 for plate in plates), read.text
    # Of each plate no more is left than some colours, side by side.
    for plate in plates:
        x1, y1 = np.floor(np.min(plate["corners"], axis=0)).astype(int)
        x2, y2 = np.ceil(np.max(plate["corners"], axis=0)).astype(int)
        region = shared[y1:y2, x1:x2].reshape(-1, 3)
        assert len(np.unique(region, axis=0)) <= 24, plate["text"]


def test_what_lies_elsewhere_is_as_it_was(street: Image, shared: Image) -> None:
    same = (shared == street).all(axis=2).mean()
    assert same > 0.9


def test_a_plate_too_far_to_be_read_is_covered_too(street: Image, shared: Image) -> None:
    """The red car's, thirty pixels wide."""
    far = np.s_[258:266, 374:394]
    assert (shared[far] != street[far]).any(axis=2).mean() > 0.9


def test_where_a_plate_is_known_to_be_is_covered_though_none_is_found(reader: PlateReader) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (300, 400, 3), np.uint8)
    corners = np.array([[100, 100], [220, 100], [220, 140], [100, 140]], np.float32)
    shared = blurred(noise, reader, [corners, corners + 5000])
    assert len(np.unique(shared[95:145, 95:225].reshape(-1, 3), axis=0)) <= 8
    assert np.array_equal(shared[:60], noise[:60])


def test_a_large_picture_is_searched_in_parts_too(reader: PlateReader, street: Image) -> None:
    """A plate that is lost when the whole is made smaller is covered."""
    height, width = street.shape[:2]
    large = np.full((1700, 2300, 3), 120, np.uint8)
    large[1000 : 1000 + height, 1200 : 1200 + width] = street
    plates = {read.text for read in reader.read(street)}
    shared = blurred(large, reader)
    again = {read.text for read in reader.read(shared[1000 : 1000 + height, 1200 : 1200 + width])}
    assert plates and not plates & again


def test_a_small_picture_is_searched_enlarged_too(street: Image) -> None:
    """Whatever its size, it is looked at twice as large; a large one in parts."""
    small = np.ascontiguousarray(street[:300, :400])
    looks = [(scale, part.shape[:2]) for _, scale, part in _parts(small)]
    assert looks == [(1, (300, 400)), (2, (600, 800))]
    assert {scale for _, scale, _ in _parts(np.zeros((2000, 3000, 3), np.uint8))} == {1}


def _common(first: str, second: str) -> int:
    """How many characters two texts have in common at the same places."""
    return sum(a == b for a, b in zip(first, second, strict=False))
