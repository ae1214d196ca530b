"""Convolutions that are added up become one, and only these."""

import numpy as np
import onnx
import pytest
from helpers.onnx_models import Builder, kinds, run

from edge_lpr.onnx_graph.branches import fuse_branches
from edge_lpr.onnx_graph.fold import fold_batch_norms
from edge_lpr.onnx_graph.graph import OnnxGraph


def fused(before: onnx.ModelProto) -> list[str]:
    graph = OnnxGraph(before)
    fold_batch_norms(graph)
    fuse_branches(graph)
    after = graph.to_model("test")
    image = np.random.default_rng(1).normal(size=(2, 3, 24, 32)).astype(np.float32)
    np.testing.assert_allclose(run(after, image), run(before, image), atol=1e-5)
    return kinds(after)


@pytest.mark.parametrize("groups", [1, 3])
def test_a_re_parameterised_layer_becomes_one_convolution(groups: int) -> None:
    b = Builder()
    total = b.norm("x", 3)
    for kernel in (5, 5, 1):
        total = b.op("Add", total, b.norm(b.conv("x", 3, 3, kernel, groups=groups), 3))
    assert fused(b.model(b.op("Relu", total))) == ["Conv", "Relu"]


def test_branches_of_different_shapes_and_with_biases() -> None:
    b = Builder()
    tall = b.op("Conv", "x", b.noise(4, 3, 5, 1), b.noise(4), pads=[2, 0, 2, 0], strides=[2, 2])
    wide = b.op("Conv", "x", b.noise(4, 3, 1, 3), pads=[0, 1, 0, 1], strides=[2, 2])
    assert fused(b.model(b.op("Add", b.op("Add", tall, wide), b.conv("x", 3, 4, 3, 2)))) == ["Conv"]


def test_other_sums_stay() -> None:
    def sums(build: object) -> list[str]:
        b = Builder()
        return fused(b.model(build(b)))  # type: ignore[operator]

    def read_twice(b: Builder) -> str:
        first, second = b.conv("x", 3, 3), b.conv("x", 3, 3, 1)
        return b.op("Mul", b.op("Add", first, second), second)

    assert "Add" in sums(lambda b: b.op("Add", b.conv("x", 3, 3), b.conv(b.op("Relu", "x"), 3, 3)))
    assert "Add" in sums(lambda b: b.op("Add", b.conv("x", 3, 3), "x"))
    assert "Add" in sums(lambda b: b.op("Add", b.conv("x", 3, 3), b.conv("x", 3, 3, groups=3)))
    assert "Add" in sums(lambda b: b.op("Add", b.norm("x", 3), b.op("Relu", b.conv("x", 3, 3))))

    assert "Add" in sums(read_twice)
