"""Colour shares of an image of a plate."""

from __future__ import annotations

import numpy as np
import pytest

from edge_lpr.plates.colour import colour_shares


@pytest.mark.parametrize(
    ("bgr", "name"),
    [((180, 60, 20), "blue"), ((20, 180, 220), "yellow"), ((90, 190, 80), "green")],
)
def test_half_of_a_plate_in_one_colour(bgr: tuple[int, int, int], name: str) -> None:
    crop = np.full((24, 94, 3), 240, np.uint8)
    crop[:, :47] = bgr
    shares = colour_shares(crop)
    assert shares[name] == pytest.approx(0.5, abs=0.05)
    assert sum(shares.values()) == pytest.approx(shares[name])


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_a_grey_image_has_none(grey: int) -> None:
    assert set(colour_shares(np.full((10, 30, 3), grey, np.uint8)).values()) == {0.0}
