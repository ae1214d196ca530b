"""Crops and batches for the recognizer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_lpr.bundle.manifest import RecSpec
from edge_lpr.errors import BackendError
from edge_lpr.geometry import crop_quad
from edge_lpr.pipeline.recognizer import CROPS_PER_RUN, PADDING, Recognizer, fit_crop


class Columns:
    """A network of one line: each step's one class is what the middle row shows there."""

    name, precision, device, sizes = "columns", "fp32", "cpu", None
    preferred_batch, concurrency = 1, 1

    def __init__(self, classes: int = 4, max_batch: int | None = None) -> None:
        self.classes = classes
        self.max_batch = max_batch
        self.seen: list[NDArray[Any]] = []

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        image = inputs["image"]
        self.seen.append(image.copy())
        steps = image[:, image.shape[1] // 2, ::8, 0].astype(np.float32)
        return {"probs": np.repeat(steps[..., None], self.classes, axis=2)}

    def close(self) -> None:
        pass


def recognizer(
    widths: tuple[int, ...] = (160, 320), resize_mode: Literal["pad", "stretch"] = "pad", **options: Any
) -> tuple[Recognizer, Columns]:
    backend = Columns(**options)
    model = RecSpec("image", "probs", 48, widths, resize_mode, ("A", "B"), True, {})
    return Recognizer(backend, model), backend


def test_a_crop_is_cut_along_its_corners() -> None:
    image = np.zeros((200, 300, 3), np.uint8)
    quad = cv2.boxPoints(((150, 100), (120, 40), 20)).astype(np.float32)  # bl, tl, tr, br
    corners = np.roll(quad, -1, axis=0)
    cv2.fillPoly(image, [quad.astype(np.int32)], (0, 200, 0))
    crop = crop_quad(image, corners)
    assert abs(crop.shape[1] - 120) <= 1
    assert abs(crop.shape[0] - 40) <= 1
    assert (crop[5:-5, 5:-5, 1] == 200).all()


def test_the_first_corner_is_the_crops_top_left() -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    image[20:30, 20:30] = 255
    corners = np.array([[20, 20], [80, 20], [80, 50], [20, 50]], np.float32)
    assert crop_quad(image, corners)[2, 2, 0] == 255
    assert crop_quad(image, np.roll(corners, 2, axis=0))[-3, -3, 0] == 255


def test_a_tall_crop_is_turned_anticlockwise() -> None:
    image = np.zeros((200, 100, 3), np.uint8)
    image[10:40, 10:50] = 255  # the top goes to the left
    crop = crop_quad(image, np.array([[10, 10], [50, 10], [50, 160], [10, 160]], np.float32))
    assert crop.shape[:2] == (40, 150)
    assert crop[20, 10, 0] == 255
    assert crop[20, 100, 0] == 0


def test_corners_without_area_are_a_crop_of_a_pixel() -> None:
    assert crop_quad(np.zeros((50, 50, 3), np.uint8), np.full((4, 2), 7, np.float32)).shape == (1, 1, 3)


def test_a_crop_takes_the_smallest_width_that_holds_it_and_is_padded() -> None:
    reads, backend = recognizer()
    reads.probabilities([np.full((24, 60, 3), 9, np.uint8), np.full((24, 100, 3), 9, np.uint8)])
    narrow, wide = backend.seen
    assert (narrow.shape, wide.shape) == ((1, 48, 160, 3), (1, 48, 320, 3))
    assert (narrow[0, :, :120] == 9).all()
    assert (narrow[0, :, 120:] == PADDING).all()
    assert (wide[0, :, :200] == 9).all()


def test_a_crop_wider_than_all_is_squeezed() -> None:
    reads, backend = recognizer(widths=(160,))
    reads.probabilities([np.full((10, 300, 3), 9, np.uint8)])
    assert (backend.seen[0] == 9).all()


def test_stretching_fills_the_width() -> None:
    reads, backend = recognizer(widths=(160,), resize_mode="stretch")
    reads.probabilities([np.full((24, 60, 3), 9, np.uint8)])
    assert (backend.seen[0] == 9).all()


@pytest.mark.parametrize(("limit", "runs"), [(None, 7), (16, 13)])
def test_a_page_of_boxes_stays_batched_and_in_order(limit: int | None, runs: int) -> None:
    reads, backend = recognizer(widths=(64,), max_batch=limit)
    crops = [np.full((48, 64, 3), n, np.uint8) for n in range(200)]
    found = reads.probabilities(crops)
    assert [int(probs[0, 0]) for probs in found] == list(range(200))
    assert len(backend.seen) == runs
    assert max(len(batch) for batch in backend.seen) <= (limit or CROPS_PER_RUN)


def test_nothing_in_nothing_out() -> None:
    assert recognizer()[0].probabilities([]) == []


def test_other_classes_than_the_bundle_names_are_an_error() -> None:
    with pytest.raises(BackendError, match=r"shape \(1, 20, 7\), expected 1×T×4"):
        recognizer(classes=7)[0].probabilities([np.zeros((48, 100, 3), np.uint8)])


@pytest.mark.parametrize(
    ("shape", "mode", "used"),
    [((10, 30), "pad", 144), ((10, 31), "pad", 149), ((10, 100), "pad", 320), ((10, 30), "stretch", 320)],
)
def test_fit_crop_keeps_proportions_or_stretches(shape: tuple[int, int], mode: str, used: int) -> None:
    fitted = fit_crop(np.zeros((*shape, 3), np.uint8), 48, 320, mode)
    assert fitted.shape == (48, 320, 3)
    assert (fitted[:, :used] == 0).all()
    assert (fitted[:, used:] == PADDING).all()
