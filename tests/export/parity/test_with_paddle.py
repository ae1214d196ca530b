"""Paddle and the converted graphs, on the same images; real ones skip where Paddle is not installed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from helpers.extras import reason
from onnx import TensorProto, helper

from edge_lpr.bundle.writer import DET_POSTPROCESS, DET_SIZE
from edge_lpr.export.bundle_graph import DET_MEAN, DET_STD, det_model
from edge_lpr.export.paddle_model import PaddleModel, open_model
from edge_lpr.export.parity.images import probe_images
from edge_lpr.export.parity.with_paddle import DetGraphs, compare_det, fixed_sides

pytestmark = pytest.mark.filterwarnings("ignore")  # Paddle warns on import, of things of its own


def identity(*shape: int | str | None) -> onnx.ModelProto:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", ends[:1], ends[1:])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_sides_are_fixed_or_free() -> None:
    assert fixed_sides(identity(None, 3, 480, 640)) == (480, 640)
    assert fixed_sides(identity("N", 3, 480, "W")) is None
    assert fixed_sides(identity(1, 480)) is None


def test_size_rules_are_those_of_the_runtime() -> None:
    graphs = DetGraphs(identity(1), identity(1), DET_MEAN, DET_STD, DET_SIZE, DET_POSTPROCESS)
    rules = graphs.rules()
    assert (rules.stride, rules.limit_side_len) == (DET_SIZE["stride"], DET_SIZE["limit_side_len"])
    assert (rules.limit_type, rules.max_side_len) == (DET_SIZE["limit_type"], DET_SIZE["max_side_len"])
    assert rules.postprocess == DET_POSTPROCESS


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PaddleModel]:
    """A network of one convolution: bright is text."""
    paddle = pytest.importorskip("paddle", reason=reason("paddle", "export"))
    pytest.importorskip("paddle2onnx", reason=reason("paddle2onnx", "export"))
    pytest.importorskip("onnxruntime", reason=reason("onnxruntime", "cpu"))
    folder: Path = tmp_path_factory.mktemp("det_infer")
    convolution = paddle.nn.Conv2D(3, 1, 3, padding=1)
    convolution.weight.set_value(np.full((1, 3, 3, 3), 0.3, np.float32))
    network = paddle.nn.Sequential(convolution, paddle.nn.Sigmoid())
    network.eval()
    spec = paddle.static.InputSpec([None, 3, None, None], "float32", "x")
    paddle.jit.save(network, str(folder / "inference"), input_spec=[spec])
    model = open_model(folder, "det")
    yield model
    model.close()


def test_detection_is_compared_and_other_arithmetic_noticed(detector: PaddleModel) -> None:
    raw = detector.convert()
    size = {**DET_SIZE, "limit_side_len": 320, "max_side_len": 640}
    graphs = DetGraphs(raw, det_model(raw, DET_MEAN, DET_STD), DET_MEAN, DET_STD, size, DET_POSTPROCESS)
    images = probe_images(1)
    comparisons, crops, reference = compare_det(detector, graphs, images)
    assert [c.stage for c in comparisons] == ["raw", "folded"]
    assert all(c.passed(1e-4) for c in comparisons)
    assert crops and all(crop.ndim == 3 for crop in crops.values())
    assert [image.shape[:2] for image, _ in reference] == [prob.shape for _, prob in reference]
    # The folded graph takes the mean that it was made with; another one must show.
    other = replace(graphs, folded=det_model(raw, [m + 20 for m in DET_MEAN], DET_STD))
    comparisons, _, _ = compare_det(detector, other, images)
    assert [c.passed(1e-4) for c in comparisons] == [True, False]
