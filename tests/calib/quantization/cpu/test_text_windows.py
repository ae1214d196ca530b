"""Where a detector's INT8 is compared with its FP32."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from helpers.tiny_bundle import det_model, write_bundle

from edge_lpr.bundle.manifest import load_bundle
from edge_lpr.calib.quantization.cpu.text_windows import near_text, text_windows
from edge_lpr.calib.quantization.objectives import DetObjective
from edge_lpr.datasets.labels import LabelledPlate, Sample


@pytest.fixture
def objective(tmp_path: Path) -> DetObjective:
    spec = load_bundle(write_bundle(tmp_path / "bundle")).det
    return DetObjective(spec, [], [np.zeros((1, 64, 64, 3), np.uint8)], [np.zeros((1, 64, 64), np.float32)])


def scene(path: Path, brightness: int) -> Sample:
    image = np.zeros((200, 400, 3), np.uint8)
    image[80:120, 160:290] = brightness
    cv2.imwrite(str(path), image)
    corners = np.array([[160, 80], [290, 80], [290, 120], [160, 120]], np.float32)
    return Sample(path, (LabelledPlate("A1", corners),), "scenes")


def test_windows_show_small_plates_that_fp32_sees(tmp_path: Path, objective: DetObjective) -> None:
    model = onnx.load_model_from_string(det_model())
    scenes = [scene(tmp_path / "bright.png", 250), scene(tmp_path / "black.png", 0)]
    found = text_windows(objective, model, scenes, 48)
    assert 1 <= len(found) <= 3  # of the bright one, at each height where it is seen
    assert all(w.image.shape == (1, 192, 192, 3) and w.prob.max() > 0.3 for w in found)
    assert len(text_windows(objective, model, scenes * 9, 4)) == 4


def test_without_plates_there_are_the_objectives_own(tmp_path: Path, objective: DetObjective) -> None:
    model = onnx.load_model_from_string(det_model())
    for scenes in ([], [scene(tmp_path / "black.png", 0)]):
        (only,) = text_windows(replace(objective), model, scenes, 48)
        assert only.image is objective.inputs[0] and only.prob is objective.references[0]


def test_what_is_near_text_is_marked() -> None:
    prob = np.zeros((1, 9, 9), np.float32)
    prob[0, 4, 4] = 0.9
    marked = near_text(prob, 2)
    assert marked.dtype == np.float32 and marked.sum() == 25 and marked[0, 2:7, 2:7].all()
    assert near_text(np.full((2, 4, 4), 0.2, np.float32), 4).sum() == 0
