"""Plate formats, which are data."""

from __future__ import annotations

import numpy as np
import pytest

from edge_lpr.plates.formats import plate_charset, plate_formats, plate_kinds

FORMATS = {plate.name: plate for plate in plate_formats()}


def test_kinds_begin_with_blue_and_are_distinct() -> None:
    kinds = plate_kinds()
    assert kinds[0] == "blue"
    assert len(set(kinds)) == len(kinds)
    assert {"yellow", "green", "police", "learner", "trailer", "hongkong", "macau"} < set(kinds)


def test_charset_has_31_provinces_the_letters_but_i_and_the_digits() -> None:
    charset = plate_charset()
    assert len(set(charset)) == len(charset)
    assert sum(not c.isascii() for c in charset[:31]) == 31
    assert set("ABCDEFGHJKLMNOPQRSTUVWXYZ0123456789") == {c for c in charset if c.isascii()}
    assert set(charset[-7:]) == set("警学挂港澳领使")


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
    ],
)
def test_accepts(name: str, text: str, accepted: bool) -> None:
    assert FORMATS[name].accepts(text) is accepted


@pytest.mark.parametrize(("bgr", "kind"), [((180, 60, 20), "blue"), ((20, 180, 220), "yellow")])
def test_colour_decides_between_blue_and_yellow(bgr: tuple[int, int, int], kind: str) -> None:
    crop = np.full((24, 94, 3), bgr, np.uint8)
    crop[8:16, 10:80] = 240 if kind == "blue" else 10
    assert FORMATS["standard"].kind(crop) == kind


def test_a_grey_image_is_the_commonest_kind() -> None:
    assert FORMATS["standard"].kind(np.full((24, 94, 3), 128, np.uint8)) == "blue"
    assert FORMATS["standard"].kind(None) == "blue"
