from __future__ import annotations

import cv2
import numpy as np

from edge_lpr.finetune.synthesis import compositing
from edge_lpr.finetune.synthesis.render.plate import render_plate
from edge_lpr.finetune.synthesis.render.text import SyntheticPlate
from edge_lpr.finetune.synthesis.render.view import paste
from edge_lpr.geometry import crop_quad
from edge_lpr.types import Image, Quad


def _photo() -> tuple[Image, Quad]:
    """A grey wall with a blue plate, a little turned."""
    photo = np.full((300, 500, 3), 128, np.uint8)
    quad = np.array([[150, 120], [330, 132], [328, 190], [148, 178]], np.float32)
    flat = render_plate(SyntheticPlate("皖A12345", "blue"), np.random.default_rng(3), 80)
    paste(photo, flat, quad)
    return photo, quad


def test_swapping_changes_the_plate_and_nothing_else() -> None:
    photo, quad = _photo()
    before = photo.copy()
    out = compositing.swap_plate(photo, quad, SyntheticPlate("川Z8Q8Q8", "blue"), np.random.default_rng(1))
    assert np.array_equal(photo, before)
    changed = np.abs(out.astype(int) - photo).max(axis=2) > 40
    ys, xs = np.nonzero(changed)
    assert changed.sum() > 1000
    assert xs.min() >= 139
    assert xs.max() <= 339
    assert ys.min() >= 111
    assert ys.max() <= 199


def test_a_swapped_plate_takes_over_the_old_ones_light() -> None:
    photo, quad = _photo()
    dark = (photo * 0.4).astype(np.uint8)
    means = []
    for image in (photo, dark):
        assert compositing.measure(image, quad).colour == "blue"
        out = compositing.swap_plate(
            image, quad, SyntheticPlate("川Z8Q8Q8", "blue"), np.random.default_rng(1)
        )
        means.append(crop_quad(out, quad).mean(axis=(0, 1)))
    assert means[0][0] > 1.4 * means[0][2]
    assert means[1][0] < 0.6 * means[0][0]


def test_moved_corners_follow_the_image() -> None:
    photo = np.zeros((400, 600, 3), np.uint8)
    quad = np.array([[260, 180], [350, 190], [345, 225], [255, 215]], np.float32)
    cv2.fillConvexPoly(photo, quad.astype(np.int32), (255, 255, 255))
    found = 0
    for seed in range(12):
        image, kept, moved = compositing.move_scene(
            photo, [quad], np.random.default_rng(seed), (320, 320), 0.4
        )
        assert image.shape == (320, 320, 3)
        assert len(kept) == len(moved)
        for corners in moved:
            grey = image.max(axis=2)
            mask = np.zeros_like(grey)
            cv2.fillConvexPoly(mask, np.round(corners).astype(np.int32), 1)
            inner = cv2.erode(mask, np.ones((5, 5), np.uint8)).astype(bool)
            ring = cv2.dilate(mask, np.ones((31, 31), np.uint8)).astype(bool) & ~cv2.dilate(
                mask, np.ones((9, 9), np.uint8)
            ).astype(bool)
            assert np.median(grey[inner]) > np.median(grey[ring]) + 30
            found += 1
    assert found >= 6


def test_swap_crop_is_about_as_large_as_the_plate() -> None:
    photo, quad = _photo()
    crop = compositing.swap_crop(photo, quad, SyntheticPlate("川Z8Q8Q8", "blue"), np.random.default_rng(2))
    assert 150 < crop.shape[1] < 220
    assert 45 < crop.shape[0] < 90
