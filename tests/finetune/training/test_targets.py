from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge_lpr.finetune.training.targets import det_targets
from edge_lpr.pipeline.db_postprocess import db_boxes
from edge_lpr.pipeline.settings import DetectorSettings

QUAD = np.array([[20, 30], [120, 30], [120, 60], [20, 60]], np.float32)


def test_shrunk_map_is_moved_in_by_vattis_distance() -> None:
    targets = det_targets([QUAD], [False], 96, 160)
    distance = 100 * 30 * (1 - 0.4**2) / (2 * (100 + 30))  # 9.7 pixels
    ys, xs = np.nonzero(targets.shrink)
    assert (xs.min(), xs.max()) == (pytest.approx(20 + distance, abs=1), pytest.approx(120 - distance, abs=1))
    assert (ys.min(), ys.max()) == (pytest.approx(30 + distance, abs=1), pytest.approx(60 - distance, abs=1))
    assert targets.shrink_mask.min() == 1.0


def test_border_peaks_on_the_outline_and_fades_with_distance() -> None:
    targets = det_targets([QUAD], [False], 96, 160)
    assert targets.border[30, 70] == pytest.approx(0.7, abs=0.01)
    assert targets.border[45, 70] == pytest.approx(0.3, abs=0.01)  # the middle is 15 away, more than 9.7
    assert targets.border[35, 70] == pytest.approx(0.3 + 0.4 * (1 - 5 / 9.69), abs=0.02)
    assert targets.border.min() == pytest.approx(0.3)
    assert targets.border_mask[22, 70] == 1.0
    assert targets.border_mask[15, 70] == 0.0


def test_the_runtime_finds_the_plate_in_its_own_target() -> None:
    turned = cv2.boxPoints(((80, 48), (90, 28), 20)).astype(np.float32)
    targets = det_targets([turned], [False], 96, 160)
    (box,) = db_boxes(targets.shrink, DetectorSettings(), (96, 160))
    for found in box.outlines():
        both, _ = cv2.intersectConvexConvex(turned, found)
        assert both / (cv2.contourArea(turned) + cv2.contourArea(found) - both) > 0.7


@pytest.mark.parametrize(
    ("quad", "ignored"), [(QUAD, True), (np.array([[9, 9], [40, 9], [40, 15], [9, 15]], np.float32), False)]
)
def test_ignored_and_tiny_texts_are_masked(quad: np.ndarray, ignored: bool) -> None:
    targets = det_targets([quad], [ignored], 96, 160)
    assert targets.shrink.max() == 0.0
    assert targets.border_mask.max() == 0.0
    assert targets.shrink_mask[int(quad[:, 1].mean()), int(quad[:, 0].mean())] == 0.0
    assert targets.shrink_mask[90, 150] == 1.0


def test_a_text_that_leaves_the_image_is_drawn_as_far_as_it_goes() -> None:
    targets = det_targets([QUAD + np.float32([90, 0])], [False], 96, 160)
    assert targets.shrink[45, 159] == 1.0
    assert np.isfinite(targets.border).all()


def test_no_text() -> None:
    targets = det_targets([], [], 32, 64)
    assert targets.shrink.shape == (32, 64)
    assert targets.shrink.max() == targets.border_mask.max() == 0.0
