"""What scenes are made of."""

from __future__ import annotations

import numpy as np
import pytest

from edge_lpr.finetune.synthesis.render import parts
from edge_lpr.finetune.synthesis.render.text import SyntheticPlate


@pytest.mark.parametrize("seed", range(4))
def test_backgrounds_have_the_asked_size(seed: int) -> None:
    image = parts.background(200, 120, np.random.default_rng(seed))
    assert image.shape == (120, 200, 3)
    assert image.dtype == np.uint8
    assert image.std() > 2


def test_a_photo_fills_the_background() -> None:
    photo = np.full((90, 300, 3), (10, 200, 30), np.uint8)
    images = [parts.background(200, 120, np.random.default_rng(seed), [photo]) for seed in range(12)]
    assert {image.shape for image in images} == {(120, 200, 3)}
    assert sum((image == (10, 200, 30)).all() for image in images) >= 4


def test_a_vehicle_shows_its_plate_at_the_centre_it_names() -> None:
    scale = 0.3
    found = []
    for seed in range(12):
        plate = SyntheticPlate("皖A12345", "blue")
        image, centre = parts.vehicle(plate, np.random.default_rng(seed), scale)
        assert abs(image.shape[1] - 1700 * scale) < 2
        x, y = centre.astype(int)
        w, h = (round(side * scale / 2 * 0.8) for side in plate.size_mm)
        b, _, r = np.median(image[y - h : y + h, x - w : x + w], axis=(0, 1))
        found.append(b - r)
    assert np.median(found) > 60


def test_signs_hold_lettering_in_another_colour() -> None:
    rng = np.random.default_rng(3)
    for _ in range(10):
        board = parts.sign(rng)
        assert board.shape[0] == 56
        assert board.shape[1] > 40
        assert len(np.unique(board.reshape(-1, 3), axis=0)) > 2
