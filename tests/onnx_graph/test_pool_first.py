"""Pooling before a linear convolution of one pixel is the same number, of fewer bytes."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers import onnx_models as models

from edge_lpr.bundle.manifest import bundled, load_bundle
from edge_lpr.onnx_graph.graph import OnnxGraph
from edge_lpr.onnx_graph.pool_first import pool_first

IMAGE = np.random.default_rng(1).normal(size=(2, 3, 24, 32)).astype(np.float32)


def pooled(before: onnx.ModelProto) -> tuple[onnx.ModelProto, list[str]]:
    """Runs the pass, sees that the numbers stay, and returns what makes each pooling's input."""
    graph = OnnxGraph(before)
    pool_first(graph)
    after = graph.to_model("test")
    np.testing.assert_allclose(models.run(after, IMAGE), models.run(before, IMAGE), atol=1e-5)
    made = {name: node.op_type for node in after.graph.node for name in node.output}
    return after, [made.get(n.input[0], "x") for n in after.graph.node if n.op_type == "GlobalAveragePool"]


@pytest.mark.parametrize("bias", [False, True])
def test_the_convolution_goes_into_the_one_behind_the_pooling(bias: bool) -> None:
    b = models.Builder(opset=17)
    wide = b.op("Conv", "x", b.noise(16, 3, 1, 1), *([b.noise(16)] if bias else []))
    gate = b.op("Conv", b.op("GlobalAveragePool", wide), b.noise(16, 16, 1, 1), b.noise(16))
    after, sources = pooled(b.model(b.op("Mul", wide, b.op("Sigmoid", gate))))
    assert sources == ["x"]
    assert models.kinds(after).count("Conv") == 2  # none more than before


def test_without_one_behind_the_convolution_is_of_the_pooled_pixel() -> None:
    b = models.Builder(opset=17)
    wide = b.op("Conv", "x", b.noise(16, 3, 1, 1), b.noise(16))
    gate = b.op("Sigmoid", b.op("GlobalAveragePool", wide))
    after, sources = pooled(b.model(b.op("Mul", wide, gate)))
    assert sources == ["x"]
    assert models.kinds(after).count("Conv") == 2


@pytest.mark.parametrize(
    ("out", "kernel", "stride", "groups"), [(2, 1, 1, 1), (16, 3, 1, 1), (16, 1, 2, 1), (6, 1, 1, 3)]
)
def test_what_is_not_linear_of_one_pixel_or_makes_fewer_channels_stays(
    out: int, kernel: int, stride: int, groups: int
) -> None:
    b = models.Builder(opset=17)
    wide = b.conv("x", 3, out, kernel, stride, groups)
    assert pooled(b.model(b.op("GlobalAveragePool", wide)))[1] == ["Conv"]


def test_an_activation_between_them_is_not_linear() -> None:
    b = models.Builder(opset=17)
    wide = b.op("Relu", b.conv("x", 3, 16, 1))
    assert pooled(b.model(b.op("GlobalAveragePool", wide)))[1] == ["Relu"]


def test_the_large_detector_pools_before_three_of_its_convolutions() -> None:
    if not (bundled() / "bundle.json").is_file():
        pytest.skip("needs the default bundle")
    before = onnx.load_from_string(load_bundle("accurate").model("det", "fp32").read())
    graph = OnnxGraph(before)
    pool_first(graph)
    after = graph.to_model("det")
    image = np.random.default_rng(0).integers(0, 256, (1, 64, 96, 3)).astype(np.uint8)
    np.testing.assert_allclose(models.run(after, image), models.run(before, image), atol=1e-4)
    moved = [
        a.input[0] != b.input[0]
        for a, b in zip(before.graph.node, after.graph.node, strict=True)
        if a.op_type == "GlobalAveragePool"
    ]
    assert sum(moved) == 3
