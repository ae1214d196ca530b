"""Quadrilaterals around contours: tight where there is one, none where there is not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge_lpr.geometry import area_and_perimeter, is_clockwise_convex
from edge_lpr.pipeline.quads import enclosing_quad, grow_quad, order_corners
from edge_lpr.types import Quad

SHEARED = np.array([[60, 60], [220, 100], [225, 150], [65, 110]], np.float32)


def contour_of(quad: np.ndarray) -> np.ndarray:
    mask = np.zeros((300, 400), np.uint8)
    cv2.fillConvexPoly(mask, np.round(quad).astype(np.int32), 1)
    (contour,), _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    return np.asarray(contour)


def plate(tilt: float, shear: float, perspective: float) -> Quad:
    """A plate of 140×44 pixels, turned and sheared by degrees, its right side lower by a share."""
    corners = np.array([[-70, -22], [70, -22 + 22 * perspective], [70, 22 - 22 * perspective], [-70, 22]])
    corners[:, 0] += np.tan(np.radians(shear)) * corners[:, 1]
    turn = np.radians(tilt)
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    return (corners @ rotation + [200, 150]).astype(np.float32)


@pytest.mark.parametrize("tilt", [-40, -15, 0, 10, 35])
@pytest.mark.parametrize("shear", [-35, 0, 20])
@pytest.mark.parametrize("perspective", [0.0, 0.3])
def test_a_plates_corners_are_found_however_it_is_seen(tilt: float, shear: float, perspective: float) -> None:
    seen = plate(tilt, shear, perspective)
    quad = enclosing_quad(contour_of(seen))
    assert quad is not None
    assert np.abs(quad - seen).max() < 4
    assert is_clockwise_convex(quad)


def test_a_cut_corner_is_prolonged() -> None:
    cut = np.array([[75, 60], [220, 60], [220, 110], [60, 110], [60, 70]])
    quad = enclosing_quad(contour_of(cut))
    assert quad is not None
    np.testing.assert_allclose(quad, [[60, 60], [220, 60], [220, 110], [60, 110]], atol=2)


@pytest.mark.parametrize("points", [[[5, 5]], [[5, 5], [9, 9]], [[5, 5], [6, 6], [7, 7], [8, 8]]])
def test_what_has_no_area_has_no_quadrilateral(points: list[list[int]]) -> None:
    assert enclosing_quad(np.array(points, np.int32)[:, None]) is None


def test_the_contour_is_always_inside() -> None:
    rng = np.random.default_rng(5)
    found = 0
    for _ in range(300):
        points = (rng.normal(0, (60, 20), (30, 2)) + 200).astype(np.int32)
        quad = enclosing_quad(points[:, None])
        if quad is None:
            continue
        found += 1
        for x, y in points.tolist():
            assert cv2.pointPolygonTest(quad[:, None], (float(x), float(y)), True) > -0.01
    assert found > 200


def test_growth_moves_every_side_as_far() -> None:
    area, perimeter = area_and_perimeter(SHEARED)
    grown = grow_quad(SHEARED, 1.5)
    for i in range(4):
        start, end = SHEARED[i], SHEARED[(i + 1) % 4]
        normal = np.array([end[1] - start[1], start[0] - end[0]]) / np.linalg.norm(end - start)
        for corner in (grown[i], grown[(i + 1) % 4]):
            assert (corner - start) @ normal == pytest.approx(1.5 * area / perimeter, abs=0.01)
    np.testing.assert_allclose(grow_quad(SHEARED, 0), SHEARED, atol=1e-4)


def test_corners_start_at_the_top_left_and_run_clockwise() -> None:
    for start in range(4):
        rolled = np.roll(SHEARED, start, axis=0)
        np.testing.assert_array_equal(order_corners(rolled), SHEARED)
        np.testing.assert_array_equal(order_corners(rolled[::-1]), SHEARED)
