"""DB post-processing against PaddleOCR's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_lpr.geometry import side_lengths
from edge_lpr.pipeline.ctc import greedy
from edge_lpr.pipeline.db_postprocess import db_boxes, unclip
from edge_lpr.pipeline.quads import grow_quad
from edge_lpr.pipeline.settings import DetectorSettings
from edge_lpr.types import FloatMap, Quad

GOLDEN = Path(__file__).parents[1] / "golden" / "paddleocr.npz"


@pytest.fixture(scope="module")
def golden() -> dict[str, NDArray[Any]]:
    with np.load(GOLDEN) as data:
        return dict(data)


@pytest.mark.parametrize("dilation", [False, True])
@pytest.mark.parametrize("mode", ["fast", "slow"])
def test_boxes_are_paddleocrs(golden: dict[str, NDArray[Any]], dilation: bool, mode: str) -> None:
    settings = DetectorSettings(use_dilation=dilation, score_mode=mode)
    count = 0
    for n in range(16):
        prob = golden[f"map{n}"].astype(np.float32) / 255
        found = db_boxes(prob, settings, tuple(golden[f"size{n}"]))
        boxes = np.array([box.rectangle for box in found], np.int32).reshape(-1, 4, 2)
        scores = [box.score for box in found]
        expected = golden[f"boxes{n}_{int(dilation)}_{mode}"]
        assert boxes.shape == expected.shape
        assert np.abs(boxes - expected).max(initial=0) <= 1
        assert all(score >= settings.box_thresh for score in scores)
        count += len(boxes)
    assert count > 10


def test_texts_and_scores_are_paddleocrs(golden: dict[str, NDArray[Any]]) -> None:
    for probs, text, score in zip(golden["probs"], golden["texts"], golden["scores"], strict=True):
        found, found_score = greedy(probs, list(golden["charset"]))
        assert found == text
        assert found_score == pytest.approx(score, abs=1e-6)


def test_unclip_grows_a_rectangle_by_area_over_perimeter() -> None:
    quad = np.array([[100, 100], [200, 100], [200, 140], [100, 140]], np.float32)
    grown = unclip(quad, 1.5)
    assert grown is not None
    offset = 100 * 40 * 1.5 / 280
    low, high = grown.min(axis=(0, 1)), grown.max(axis=(0, 1))
    assert np.abs(low - (100 - offset)).max() <= 1
    assert np.abs(high - (np.array([200, 140]) + offset)).max() <= 1


def test_unclip_of_a_point_is_nothing() -> None:
    assert unclip(np.zeros((4, 2), np.float32), 1.5) is None


def test_max_candidates_bounds_the_boxes() -> None:
    prob = np.zeros((256, 256), np.float32)
    for y in range(0, 256, 32):
        prob[y + 8 : y + 24, 16:240] = 0.9
    assert len(db_boxes(prob, DetectorSettings(), (256, 256))) == 8
    assert len(db_boxes(prob, DetectorSettings(max_candidates=3), (256, 256))) == 3


def test_an_empty_map_has_no_boxes() -> None:
    assert db_boxes(np.zeros((64, 96), np.float32), DetectorSettings(), (64, 96)) == []


def test_a_sheared_plate_has_its_own_corners_beside_the_rectangle() -> None:
    plate = np.array([[60, 60], [220, 100], [225, 150], [65, 110]], np.float32)
    prob = np.zeros((200, 320), np.float32)
    cv2.fillConvexPoly(prob, plate.astype(np.int32), 0.9)
    (box,) = db_boxes(prob, DetectorSettings(), (400, 640))
    assert box.quad is not None
    assert box.corners is box.quad
    assert box.outlines() == (box.quad, box.rectangle)
    # Grown as DB shrank it, at twice the map's size; a pixel of the map at each corner is the mask's own.
    assert np.abs(box.quad - 2 * grow_quad(plate, 1.5)).max() < 5
    (alone,) = db_boxes(prob, DetectorSettings(box_type="rectangle"), (400, 640))
    assert alone.quad is None
    np.testing.assert_array_equal(alone.corners, box.rectangle)


def shrunk_plate(width: float, shear: float, place: NDArray[np.float64]) -> Quad:
    """What DB marks of a plate that is `width` pixels wide in the map, its ends leaning by degrees."""
    half_width, half_height = 0.42 * width, 0.07 * width
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * [half_width, half_height]
    corners[:, 0] += np.tan(np.radians(shear)) * corners[:, 1]
    return (corners + place).astype(np.float32)


def ragged_map(plate: Quad, rng: np.random.Generator) -> FloatMap:
    """A map as the network gives it: soft edges at any place between pixels, frayed in cells of 2×2."""
    height, width, fine = 64, 160, 8
    mask = np.zeros((height * fine, width * fine), np.uint8)
    cv2.fillConvexPoly(mask, np.round(plate * fine * 16).astype(np.int32), 255, shift=4)
    prob = cv2.resize(mask, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    prob = np.clip(cv2.GaussianBlur(prob, (0, 0), 0.8), 1e-4, 1 - 1e-4)
    fray = np.kron(rng.normal(0, 1, (height // 2, width // 2)), np.ones((2, 2))) * (prob > 0.02)
    return np.asarray(1 / (1 + np.exp(-np.log(prob / (1 - prob)) - fray)), np.float32)


@pytest.mark.parametrize("shear", [0, 15, -30])
@pytest.mark.parametrize("width", [40, 50, 60, 70, 80, 100])
def test_small_plates_have_their_own_corners(width: int, shear: int) -> None:
    rng = np.random.default_rng(width)
    for _ in range(8):
        plate = shrunk_plate(width, shear, rng.uniform(0, 1, 2) + np.array([80, 32]))
        (box,) = db_boxes(ragged_map(plate, rng), DetectorSettings(), (64, 160))
        assert box.quad is not None
        truth = grow_quad(plate, 1.5)
        _, right, _, left = side_lengths(truth)
        assert np.linalg.norm(box.quad - truth, axis=1).max() < 0.45 * (right + left) / 2
        if shear == 0:
            leaning = np.abs(box.quad[[0, 1], 0] - box.quad[[3, 2], 0]) / right
            assert np.degrees(np.arctan(leaning)).max() < 12
