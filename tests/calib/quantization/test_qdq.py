"""Q/DQ as TensorRT wants it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from helpers import networks
from onnx import numpy_helper

from edge_lpr.calib.quantization.layers import find_layers, watch
from edge_lpr.calib.quantization.qdq import activation_scale, round_weight, weight_scales
from edge_lpr.calib.quantization.range_estimator import observe
from edge_lpr.calib.quantization.tensorrt_target import TensorRTTarget
from edge_lpr.onnx_graph.graph import OnnxGraph


def test_int8_follows_tensorrts_rules(
    model: onnx.ModelProto, quantized: Callable[[onnx.ModelProto, float | None], onnx.ModelProto]
) -> None:
    made = quantized(model, 0.5)
    onnx.checker.check_model(made, full_check=True)
    assert made.opset_import[0].version >= 17
    constants = {t.name: numpy_helper.to_array(t) for t in made.graph.initializer}
    producer = {name: node for node in made.graph.node for name in node.output}
    layers = [n for n in made.graph.node if n.op_type in ("Conv", "ConvTranspose", "MatMul")]
    for node in layers:
        activation, weight = producer[node.input[0]], producer[node.input[1]]
        assert activation.op_type == weight.op_type == "DequantizeLinear"
        assert producer[activation.input[0]].op_type == "QuantizeLinear"
        assert constants[activation.input[1]].shape == ()
        stored = constants[weight.input[0]]
        assert stored.dtype == np.int8
        assert stored.min() >= -127
        assert constants[weight.input[1]].shape == (stored.shape[weight.attribute[0].i],)
        if len(node.input) > 2:
            assert constants[node.input[2]].dtype == np.float32
    for node in made.graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            zero = constants[node.input[2]]
            assert zero.dtype == np.int8
            assert not zero.any()
            assert (constants[node.input[1]] > 0).all()
    # A tensor that several layers read is quantized once.
    quantizers = [n.input[0] for n in made.graph.node if n.op_type == "QuantizeLinear"]
    assert len(set(quantizers)) == len(quantizers)


def test_only_chosen_layers_are_quantized(model: onnx.ModelProto) -> None:
    graph = OnnxGraph(model)
    layers = find_layers(graph)
    stats = observe(model, watch(layers), networks.batches())
    name = layers[1].inputs[0]
    TensorRTTarget().insert(graph, layers[1:2], {name: stats[name].amax})
    made = graph.to_model("one")
    assert [n.op_type for n in made.graph.node].count("QuantizeLinear") == 1
    assert [n.op_type for n in made.graph.node].count("DequantizeLinear") == 2


def test_weights_round_to_the_nearest_of_255_levels() -> None:
    weight = np.array([[1.27, -1.27, 0.016, 0.0], [0, 0, 0, 0]], np.float32)
    scales = weight_scales(weight, 0)
    assert scales[0] == pytest.approx(0.01, rel=1e-3)
    assert round_weight(weight, scales, 0).tolist() == [[127, -127, 2, 0], [0, 0, 0, 0]]


def test_scales_are_normal_numbers_of_fp16() -> None:
    """Below 6.1e-5 FP16 loses bits, and hardware that flushes has a zero there."""
    smallest = np.float32(2.0**-14)
    weight = np.array([[1e-6, -1e-7], [0.5, 0.1], [0.0, 0.0]], np.float32)
    scales = weight_scales(weight, 0)
    assert scales.tolist() == [smallest, np.float32(np.float16(0.5 / 127)), smallest]
    assert round_weight(weight, scales, 0)[0].tolist() == [0, 0]
    for amax in (1e-30, 1e-3, 0.3, 7.0, 1e9):
        scale = activation_scale(amax)
        assert scale >= smallest
        assert np.float32(np.float16(scale)) == scale
