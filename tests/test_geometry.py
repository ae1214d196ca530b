"""Quadrilaterals: sides, overlap, and the image inside of one."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge_lpr.geometry import (
    area_and_perimeter,
    bounding_box_iou,
    convex_parts,
    crop_quad,
    iou_matrix,
    is_clockwise_convex,
    is_simple,
    side_lengths,
    whole,
)
from edge_lpr.types import Quad

RECTANGLE = np.array([[10, 20], [50, 20], [50, 40], [10, 40]], np.float32)


def test_sides_area_and_perimeter_of_a_rectangle() -> None:
    assert side_lengths(RECTANGLE).tolist() == [40, 20, 40, 20]
    assert area_and_perimeter(RECTANGLE) == (800, 120)
    assert area_and_perimeter(np.zeros((4, 2))) == (0, 0)


@pytest.mark.parametrize(
    ("quad", "held"),
    [
        (RECTANGLE, True),
        (np.roll(RECTANGLE, 1, axis=0), True),
        (RECTANGLE[::-1], False),
        (RECTANGLE[[0, 2, 1, 3]], False),
        (np.full((4, 2), np.nan, np.float32), False),
        (np.zeros((4, 2), np.float32), False),
    ],
)
def test_only_a_convex_quad_that_runs_clockwise_shows_its_plate_unmirrored(quad: Quad, held: bool) -> None:
    assert is_clockwise_convex(quad) == held


BENT = np.array([[0, 0], [8, 0], [2, 2], [0, 8]], np.float32)


@pytest.mark.parametrize(
    ("quad", "held"),
    [
        (RECTANGLE, True),
        (RECTANGLE[::-1], True),
        (BENT, True),
        (RECTANGLE[[0, 1, 2, 2]], True),
        (RECTANGLE[[0, 2, 1, 3]], False),
        (RECTANGLE[[0, 1, 0, 3]], False),
        (np.array([[0, 0], [8, 0], [4, 0], [0, 8]], np.float32), False),
        (np.array([[0, 0], [8, 0], [8, 8], [4, 0]], np.float32), False),
        (np.zeros((4, 2), np.float32), False),
    ],
)
def test_sides_of_a_simple_quad_meet_at_its_corners_alone(quad: Quad, held: bool) -> None:
    assert is_simple(quad) == held


@pytest.mark.parametrize("start", range(4))
def test_a_quad_that_bends_inwards_is_two_triangles(start: int) -> None:
    parts = convex_parts(np.roll(BENT, start, axis=0))
    assert [len(part) for part in parts] == [3, 3]
    assert sum(area_and_perimeter(part)[0] for part in parts) == area_and_perimeter(BENT)[0] == 16
    assert [len(part) for part in convex_parts(RECTANGLE)] == [4]


def test_iou_of_upright_boxes() -> None:
    moved = RECTANGLE + np.array([20, 0], np.float32)
    assert bounding_box_iou(RECTANGLE, RECTANGLE) == 1
    assert bounding_box_iou(RECTANGLE, moved) == pytest.approx(1 / 3)
    assert bounding_box_iou(RECTANGLE, RECTANGLE + 100) == 0


def test_a_crop_holds_what_lies_inside() -> None:
    image = np.zeros((60, 80, 3), np.uint8)
    image[20:40, 10:50] = (1, 2, 3)
    crop = crop_quad(image, RECTANGLE)
    assert crop.shape == (20, 40, 3)
    assert (crop[1:-1, 1:-1] == (1, 2, 3)).all()
    np.testing.assert_array_equal(crop_quad(image, whole(image))[1:-1, 1:-1], image[1:-1, 1:-1])


def test_a_tall_crop_is_turned_anticlockwise_as_paddleocr_does() -> None:
    image = np.zeros((80, 60, 3), np.uint8)
    image[:10] = 255
    crop = crop_quad(image, np.array([[10, 0], [30, 0], [30, 80], [10, 80]], np.float32))
    assert crop.shape == (20, 80, 3)
    assert crop[:, :8].mean() > 200
    assert crop[:, 12:].mean() < 20


def test_no_side_of_a_crop_is_endless() -> None:
    crop = crop_quad(
        np.zeros((8, 8, 3), np.uint8), np.array([[0, 0], [1e5, 0], [1e5, 9], [0, 9]], np.float32)
    )
    assert crop.shape == (9, 2048, 3)


def box(x: float, y: float, width: float = 10, height: float = 4) -> Quad:
    return np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]], np.float32)


def test_iou_of_quadrilaterals() -> None:
    assert iou_matrix([box(0, 0)], [box(0, 0), box(5, 0), box(20, 0)])[0] == pytest.approx([1, 1 / 3, 0])
    diamond = np.array([[5, 0], [10, 5], [5, 10], [0, 5]], np.float32)
    assert iou_matrix([diamond], [box(0, 0, 10, 10)])[0, 0] == pytest.approx(0.5)
    assert iou_matrix([], [box(0, 0)]).shape == (0, 1)


def test_iou_of_labels_that_are_no_quadrilaterals_and_far_from_the_origin() -> None:
    point, line = np.zeros((4, 2), np.float32), box(0, 0, 10, 0)
    crossed = box(0, 0, 10, 10)[[0, 2, 1, 3]]
    matrix = iou_matrix([point, line, crossed], [box(0, 0, 10, 10), point, line])
    assert matrix.tolist() == [[0, 0, 0], [0, 0, 0], [1, 0, 0]]
    far = iou_matrix([box(90_000, 40_000)], [box(90_005, 40_000), box(90_000, 40_000)])
    assert far[0] == pytest.approx([1 / 3, 1])


def test_iou_of_turned_rectangles_is_that_of_their_masks() -> None:
    random = np.random.default_rng(5)
    for _ in range(20):
        first, second = (
            cv2.boxPoints(((100, 100), tuple(random.uniform(30, 90, 2)), float(random.uniform(0, 180))))
            + random.uniform(-20, 20, 2).astype(np.float32)
            for _ in range(2)
        )
        masks = [np.zeros((1600, 1600), np.uint8) for _ in range(2)]
        for mask, quad in zip(masks, (first, second), strict=True):
            cv2.fillConvexPoly(mask, np.round(quad * 8).astype(np.int32), 1)
        wanted = (masks[0] & masks[1]).sum() / (masks[0] | masks[1]).sum()
        assert iou_matrix([first], [second])[0, 0] == pytest.approx(wanted, abs=0.01)
