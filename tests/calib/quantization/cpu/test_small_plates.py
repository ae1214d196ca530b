"""Small plates: each labelled one at several heights, and what two detectors find of them, in pairs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from helpers import networks
from helpers.tiny_bundle import det_model, write_bundle
from onnx import numpy_helper

from edge_lpr.bundle.manifest import DetSpec, load_bundle
from edge_lpr.calib.quantization.cache import Cache
from edge_lpr.calib.quantization.calibration_data import CalibrationData
from edge_lpr.calib.quantization.cpu.int8 import make
from edge_lpr.calib.quantization.cpu.small_plates import HEIGHTS, compare_small_plates, small_plates
from edge_lpr.calib.quantization.job import Job
from edge_lpr.calib.quantization.objectives import DetObjective
from edge_lpr.calib.quantization.options import CalibrationOptions
from edge_lpr.datasets.labels import LabelledPlate, Sample


@pytest.fixture
def spec(tmp_path: Path) -> DetSpec:
    return load_bundle(write_bundle(tmp_path / "bundle")).det


@pytest.fixture
def scene(tmp_path: Path) -> Sample:
    """One bright plate, 40 pixels high, at the right edge of a picture; and one that is not to be counted."""
    image = np.zeros((200, 400, 3), np.uint8)
    image[80:120, 260:390] = 250
    cv2.imwrite(str(tmp_path / "scene.png"), image)
    corners = np.array([[260, 80], [390, 80], [390, 120], [260, 120]], np.float32)
    plates = (LabelledPlate("A1", corners), LabelledPlate("###", corners - 50))
    return Sample(tmp_path / "scene.png", plates, "scenes")


def blind(share: float) -> onnx.ModelProto:
    """The tiny detector, at a share of its brightness."""
    model = onnx.load_model_from_string(det_model())
    for constant in model.graph.initializer:
        if constant.name == "w1":
            constant.CopyFrom(numpy_helper.from_array(share * numpy_helper.to_array(constant), "w1"))
    return model


def test_each_plate_is_shown_at_each_height_where_it_lies(scene: Sample) -> None:
    shown = list(small_plates([scene], 32))
    assert len(shown) == len(HEIGHTS)
    for plate, height in zip(shown, HEIGHTS, strict=True):
        assert plate.image.shape == (192, 192, 3) and plate.corners.dtype == np.float32
        assert np.ptp(plate.corners[:, 1]) == pytest.approx(height, rel=0.05)
        left, top = plate.corners.min(axis=0)
        rows, columns = np.nonzero(plate.image[..., 0] > 125)
        assert (columns.min(), rows.min()) == pytest.approx((left, top), abs=1.5)
    # One that is no higher than that is not made larger.
    flat = [
        p._replace(corners=p.corners * np.float32(0.25)) for p in scene.plates or () if p.corners is not None
    ]
    assert len(list(small_plates([replace(scene, plates=tuple(flat))], 32))) == 1
    assert [p.image.shape[0] for p in small_plates([scene], 128)] == [256] * 3


def test_what_either_finds_alone_is_counted(spec: DetSpec, scene: Sample) -> None:
    sees, blinded = blind(1), blind(0.1)
    done: list[int] = []
    paired = compare_small_plates(spec, sees, blinded, [scene], done.append)
    assert (paired.items, paired.won, sum(done)) == (3, 0, 3) and paired.lost >= 2
    back = compare_small_plates(spec, blinded, sees, [scene])
    assert (back.won, back.lost) == (paired.lost, 0)
    same = compare_small_plates(spec, sees, sees, [scene])
    assert (same.items, same.lost, same.won) == (3, 0, 0)


def test_the_budget_is_not_kept_where_small_plates_are_lost(
    spec: DetSpec, scene: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = CalibrationData([], [], [], [], [], "", [scene], [], "", labelled=True)
    image = scene.read()[None, :192, :384]
    model = networks.OnnxGraph(blind(1)).to_model("det")
    lines: list[str] = []
    objective = DetObjective(spec, [scene], [image], [np.zeros((1, 192, 384), np.float32)])
    options = CalibrationOptions(precisions=("int8-cpu",))
    job = Job("det", model, [image], objective, Cache(None), options, lines.append, data)
    _, facts = make(job, lambda n: None)
    assert facts["budget"]["kept"] and facts["budget"]["small_plates"]["lost"] == 0
    monkeypatch.setattr(
        "edge_lpr.calib.quantization.cpu.int8.compare_small_plates",
        lambda spec, reference, model, *rest: compare_small_plates(spec, reference, blind(0.1), *rest),
    )
    _, facts = make(job, lambda n: None)
    small = facts["budget"]["small_plates"]
    assert (
        not facts["budget"]["kept"] and not small["kept"] and small["lost"] >= 2 and small["low_points"] < 0
    )
    assert any("--precision auto leaves it out" in line for line in lines) and data.warnings
