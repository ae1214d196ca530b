"""The mean output of a convolution comes back."""

from __future__ import annotations

import numpy as np
import onnx
from helpers import networks

from edge_lpr.calib.quantization.bias_correction import correct_biases
from edge_lpr.calib.quantization.layers import find_layers, watch
from edge_lpr.calib.quantization.range_estimator import observe
from edge_lpr.calib.quantization.taps import TappedModel
from edge_lpr.calib.quantization.tensorrt_target import TensorRTTarget
from edge_lpr.onnx_graph.graph import OnnxGraph


def test_corrected_biases_bring_the_mean_back(model: onnx.ModelProto) -> None:
    graph = OnnxGraph(model)
    layers = [layer for layer in find_layers(graph) if layer.op_type == "Conv"]
    stats = observe(model, watch(layers), networks.batches())
    # Ranges so tight that much saturates: the mean of each output moves far.
    ranges = {name: stats[name].amax / 8 for layer in layers for name in layer.inputs}
    errors = {}
    for corrected in (False, True):
        graph = OnnxGraph(model)
        if corrected:
            assert correct_biases(graph, layers, stats, ranges) == 2  # the other convolutions have no bias
        TensorRTTarget().insert(graph, layers[:1], ranges)
        made = graph.to_model("int8")
        tapped = [TappedModel(m, ["c0"]) for m in (made, model)]
        means = [np.concatenate([t.run(b)["c0"] for b in networks.batches()]) for t in tapped]
        errors[corrected] = float(np.abs((means[0] - means[1]).mean(axis=(0, 2, 3))).mean())
    assert errors[True] < errors[False] / 4
