"""Plate formats, as the kinds have them."""

from __future__ import annotations

import numpy as np
import pytest

from edge_lpr.finetune.synthesis.render.plate import render_plate
from edge_lpr.finetune.synthesis.render.text import SyntheticPlate
from edge_lpr.plates import plate_formats
from edge_lpr.plates.read import UNKNOWN_KIND

FORMATS = {plate.name: plate for plate in plate_formats()}


def test_the_order_is_that_of_the_kinds() -> None:
    assert list(FORMATS) == [
        *("standard", "green small", "green large", "police", "learner", "trailer"),
        *("hong kong", "macau", "consulate", "embassy", "embassy old", "military", "military old"),
        *("armed police", "armed police old", "emergency", "tractor"),
    ]
    assert FORMATS["standard"].kinds == {"blue": "blue", "yellow": "yellow"}


@pytest.mark.parametrize(
    ("name", "text", "accepted"),
    [
        ("standard", "粤O12345", True),
        ("standard", "粤A1234O", False),
        ("standard", "粤I12345", False),
        ("standard", "粤A123456", False),
        ("green small", "皖AD11166", True),
        ("green small", "皖A111166", False),
        ("green large", "皖A11166D", True),
        ("military", "BS13107", True),
        ("military", "京S13107", False),
        ("military", "AS13107", False),
        ("military old", "北A12345", True),
        ("armed police", "WJ京1234X", True),
        ("armed police", "WJ京12345", True),
        ("armed police", "WJ京1234A", False),
        ("armed police old", "WJ1612345", True),
        ("armed police old", "WJ31消0010", True),
        ("emergency", "京X0001应急", True),
        ("emergency", "京A0001应急", False),
        ("tractor", "苏0112345", True),
    ],
)
def test_accepts(name: str, text: str, accepted: bool) -> None:
    assert FORMATS[name].accepts(text) is accepted


@pytest.mark.parametrize(("bgr", "kind"), [((180, 60, 20), "blue"), ((20, 180, 220), "yellow")])
def test_colour_decides_between_blue_and_yellow(bgr: tuple[int, int, int], kind: str) -> None:
    crop = np.full((24, 94, 3), bgr, np.uint8)
    crop[8:16, 10:80] = 240 if kind == "blue" else 10
    assert FORMATS["standard"].kind(crop) == kind


def test_a_grey_image_is_of_no_known_kind() -> None:
    assert FORMATS["standard"].kind(np.full((24, 94, 3), 128, np.uint8)) == UNKNOWN_KIND
    assert FORMATS["standard"].kind(None) == "blue"


def plate(text: str, kind: str, height: int = 60) -> np.ndarray:
    return render_plate(SyntheticPlate(text, kind), np.random.default_rng(5), height)


GREEN = plate("皖AD12345", "green")
SEVEN = np.ascontiguousarray(GREEN[:, : GREEN.shape[1] * 7 // 8])


@pytest.mark.parametrize("image", [GREEN, SEVEN], ids=["covered", "cut off"])
def test_seven_characters_on_green_ground_are_no_plate(image: np.ndarray) -> None:
    assert FORMATS["standard"].is_cut("皖AD1234", image, left=False, right=False)
    assert not FORMATS["standard"].is_cut("皖A8X234", image, left=False, right=False)


def test_a_blue_plate_is_whole_also_at_the_border() -> None:
    image = plate("皖AD1234", "blue")
    assert not FORMATS["standard"].is_cut("皖AD1234", image, left=True, right=True)


@pytest.mark.parametrize(("left", "right", "cut"), [(True, False, False), (False, True, True)])
def test_without_colour_the_border_makes_a_plate_doubtful(left: bool, right: bool, cut: bool) -> None:
    grey = np.repeat(SEVEN.mean(axis=2, keepdims=True), 3, axis=2).astype(np.uint8)
    assert FORMATS["standard"].is_cut("皖AD1234", grey, left=left, right=right) is cut


def test_the_longest_format_is_never_cut() -> None:
    assert not FORMATS["green small"].is_cut("皖AD12345", GREEN, left=True, right=True)


def test_a_blue_plate_of_digits_that_looks_green_at_night_is_whole() -> None:
    assert not FORMATS["standard"].is_cut("皖A12345", SEVEN, left=False, right=False)


def test_at_the_border_a_colour_that_is_only_the_nearest_is_too_little() -> None:
    # A green plate whose characters came out pale: of the colours with pale characters, blue is the nearest.
    pale = np.full((36, 140, 3), (60, 120, 60), np.uint8)
    pale[12:24, 10:130:12] = (200, 240, 200)
    assert FORMATS["standard"].is_cut("皖AD1234", pale, left=False, right=True)
