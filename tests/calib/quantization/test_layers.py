"""Layers of a graph, their weights by input channel, their multiply-adds."""

from __future__ import annotations

import numpy as np
import onnx
from helpers import networks

from edge_lpr.calib.quantization.layers import QuantLayer, find_layers, multiply_adds, observe_shapes
from edge_lpr.onnx_graph.graph import OnnxGraph


def test_layers_and_their_multiply_adds(model: onnx.ModelProto) -> None:
    graph = OnnxGraph(model)
    layers = find_layers(graph)
    assert [layer.op_type for layer in layers] == ["Conv"] * 5 + ["ConvTranspose", "MatMul"]
    assert [layer.groups for layer in layers[:2]] == [1, 8]
    costs = list(multiply_adds(graph, observe_shapes(graph, networks.batches(1)[0][:1])).values())
    pixels = networks.SIDE**2
    assert costs == [
        8 * 27 * pixels,
        8 * 9 * pixels,
        64 * pixels,
        64,
        64 * pixels,
        8 * 4 * 4 * pixels,
        4 * 6 * 4 * pixels,
    ]


def test_grouped_weights_by_input_channel() -> None:
    weight = np.arange(4 * 3 * 1 * 1, dtype=np.float32).reshape(4, 3, 1, 1)
    layer = QuantLayer("c", "Conv", ("x",), "w", groups=2)
    # Input channels 0 to 2 feed outputs 0 and 1, channels 3 to 5 feed outputs 2 and 3.
    assert layer.by_input(weight).tolist() == [[0, 3], [1, 4], [2, 5], [6, 9], [7, 10], [8, 11]]
    factors = np.array([1, 10, 100, 1000, 1, 1], np.float32)
    assert layer.scale_inputs(weight, factors).reshape(4, 3).tolist() == [
        [0, 10, 200], [3, 40, 500], [6000, 7, 8], [9000, 10, 11],
    ]  # fmt: skip
