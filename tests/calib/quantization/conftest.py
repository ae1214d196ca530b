"""The small network that the quantization's modules are tested on, in FP32 and quantized."""

from __future__ import annotations

from collections.abc import Callable

import onnx
import pytest
from helpers import networks

from edge_lpr.calib.quantization.layers import find_layers, watch
from edge_lpr.calib.quantization.range_estimator import estimate_range, observe
from edge_lpr.calib.quantization.smooth_quant import smooth_activations
from edge_lpr.calib.quantization.tensorrt_target import TensorRTTarget
from edge_lpr.onnx_graph.graph import OnnxGraph


@pytest.fixture(scope="module")
def model() -> onnx.ModelProto:
    return networks.spread_network()


@pytest.fixture
def quantized() -> Callable[[onnx.ModelProto, float | None], onnx.ModelProto]:
    """Quantizes all layers of a model, with SmoothQuant's alpha or None."""

    def quantize(model: onnx.ModelProto, alpha: float | None) -> onnx.ModelProto:
        graph = OnnxGraph(model)
        layers = find_layers(graph)
        stats = observe(model, watch(layers), networks.batches())
        if alpha is not None:
            for moved in smooth_activations(graph, layers, stats, alpha):
                stats[moved.scaled] = stats[moved.tensor].divided(moved.scale)
        layers = find_layers(graph)
        target = TensorRTTarget()
        ranges = {name: estimate_range(stats[name], "max") for name in target.tensors(graph, layers)}
        target.insert(graph, layers, ranges)
        return graph.to_model("int8")

    return quantize
