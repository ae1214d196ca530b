from __future__ import annotations

import cv2
import numpy as np

from edge_lpr.finetune.synthesis.render import view
from edge_lpr.finetune.synthesis.render.text import SyntheticPlate


def test_a_plane_seen_straight_keeps_its_shape() -> None:
    plate = SyntheticPlate("皖A12345", "blue")
    plane = view.turn(plate.size_mm, 220.0, np.random.default_rng(0), spread=0.0)
    quad = view.project(plane, view.plate_corners(plate))
    width, height = np.ptp(quad, axis=0)
    # With no spread, only the usual look down of 8 degrees is left.
    assert abs(width - 220) < 5
    assert 0.95 * 70 < height < 1.01 * 70


def test_turned_plates_stay_readable_quadrilaterals() -> None:
    rng = np.random.default_rng(1)
    for _ in range(300):
        plate = SyntheticPlate("皖A12345", "blue")
        quad = view.project(view.turn(plate.size_mm, 200.0, rng), view.plate_corners(plate))
        assert cv2.isContourConvex(quad.astype(np.float32))
        assert cv2.contourArea(quad.astype(np.float32), oriented=True) > 0
        assert quad[0, 0] < quad[1, 0]


def test_paste_fills_the_quadrilateral_and_nothing_else() -> None:
    canvas = np.zeros((100, 200, 3), np.uint8)
    quad = np.array([[40.0, 20.0], [150.0, 30.0], [148.0, 70.0], [38.0, 60.0]])
    flat = np.full((30, 90, 3), (10, 200, 90), np.uint8)
    flat[:, :45] = (200, 30, 10)
    view.paste(canvas, flat, quad)
    assert tuple(canvas[40, 60]) == (200, 30, 10)
    assert tuple(canvas[50, 130]) == (10, 200, 90)
    inside = np.zeros((100, 200), np.uint8)
    cv2.fillConvexPoly(inside, np.round(quad).astype(np.int32), 1)
    outside = cv2.dilate(inside, np.ones((5, 5), np.uint8)) == 0
    assert not canvas[outside].any()


def test_paste_clips_at_the_border_and_ignores_what_is_outside() -> None:
    canvas = np.zeros((50, 50, 3), np.uint8)
    flat = np.full((10, 30, 3), 255, np.uint8)
    view.paste(canvas, flat, np.array([[-40.0, 10], [20, 10], [20, 30], [-40, 30]]))
    assert canvas[20, 5].all()
    before = canvas.copy()
    view.paste(canvas, flat, np.array([[100.0, 10], [160, 10], [160, 30], [100, 30]]))
    assert np.array_equal(canvas, before)


def test_a_detectors_error_is_small() -> None:
    rng = np.random.default_rng(2)
    quad = np.array([[0.0, 0], [200, 0], [200, 64], [0, 64]])
    off = np.array([view.loosen(quad, rng) - quad for _ in range(300)])
    assert np.abs(off[..., 0]).max() < 0.09 * 200
    assert np.abs(off[..., 1]).max() < 0.35 * 64
    assert np.abs(off.mean(axis=0)).max() < 8
