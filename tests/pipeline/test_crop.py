from __future__ import annotations

import numpy as np

from edge_lpr.geometry import whole
from edge_lpr.pipeline.crop import Crop
from edge_lpr.types import Quad


def box(left: float, right: float) -> Quad:
    return np.array([[left, 10], [right, 10], [right, 30], [left, 30]], np.float32)


def test_a_box_at_the_border_is_turned_round_with_its_image() -> None:
    image = np.zeros((60, 100, 3), np.uint8)
    image[10:30, 40:70] = 200
    crop = Crop.of_box(image, box(40, 100), 0.7)
    assert crop.at_border == (False, True)
    turned = crop.turned()
    assert turned.at_border == (True, False)
    assert turned.corners[0].tolist() == [100, 30]
    assert np.array_equal(turned.image, crop.image[::-1, ::-1])
    assert turned.plate is crop.image


def test_the_borders_of_a_plate_that_was_cut_out_are_no_pictures() -> None:
    image = np.zeros((24, 94, 3), np.uint8)
    crop = Crop.of_whole(image)
    assert crop.at_border == (False, False)
    assert np.array_equal(crop.corners, whole(image))
    assert crop.plate is image


def test_two_rows_may_be_in_what_is_high() -> None:
    assert Crop.of_whole(np.zeros((50, 100, 3), np.uint8)).is_high
    crop = Crop.of_whole(np.zeros((30, 100, 3), np.uint8))
    assert not crop.is_high
    assert crop.unfolded().image.shape[1] > 100
