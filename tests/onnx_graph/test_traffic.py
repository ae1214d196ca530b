"""What fused layers read and write, on graphs small enough to count by hand."""

from __future__ import annotations

import numpy as np
import onnx
from helpers import onnx_models as models

from edge_lpr.onnx_graph.graph import OnnxGraph
from edge_lpr.onnx_graph.traffic import moved_bytes, traffic

SHAPE = (1, 4, 8, 8)
TENSOR = 4 * 8 * 8 * 4  # float32


def made(b: models.Builder, output: str) -> onnx.ModelProto:
    return OnnxGraph(b.model(output, (1, 4, "h", "w"))).to_model("test")


def test_a_convolution_takes_in_what_follows_element_by_element() -> None:
    b = models.Builder(opset=17)
    x = b.op("Relu", b.conv("x", 4, 4))
    (layer,) = traffic(made(b, x), SHAPE)
    assert layer.nodes == ("Conv_0", "Relu_0")
    assert (layer.read, layer.written) == (TENSOR, TENSOR)


def test_a_gate_that_reads_twice_is_taken_in_or_not() -> None:
    b = models.Builder(opset=17)
    conv = b.conv("x", 4, 4)
    swish = b.op("Mul", conv, b.op("Sigmoid", conv))
    model = made(b, swish)
    assert [layer.nodes for layer in traffic(model, SHAPE)] == [("Conv_0", "Sigmoid_0", "Mul_0")]
    assert [layer.nodes for layer in traffic(model, SHAPE, most=False)] == [
        ("Conv_0",),
        ("Sigmoid_0", "Mul_0"),
    ]
    assert moved_bytes(model, SHAPE) == (2 * TENSOR, 4 * TENSOR)


def test_what_another_layer_reads_is_written() -> None:
    b = models.Builder(opset=17)
    conv = b.conv("x", 4, 4)
    other = b.conv(conv, 4, 4)
    model = made(b, b.op("Add", other, b.op("Relu", conv)))
    layers = {layer.nodes: (layer.read, layer.written) for layer in traffic(model, SHAPE)}
    # The second convolution takes in the sum, whose other side is a layer of its own.
    assert layers == {
        ("Conv_0",): (TENSOR, TENSOR),
        ("Relu_0",): (TENSOR, TENSOR),
        ("Conv_1", "Add_0"): (2 * TENSOR, TENSOR),
    }


def test_a_larger_tensor_is_a_kernel_of_its_own() -> None:
    b = models.Builder(opset=17)
    gate = b.op("Conv", b.op("GlobalAveragePool", "x"), b.noise(4, 4, 1, 1))
    model = made(b, b.op("Mul", "x", gate))
    assert [layer.nodes for layer in traffic(model, SHAPE)] == [
        ("GlobalAveragePool_0",),
        ("Conv_0",),
        ("Mul_0",),
    ]


def test_views_move_nothing_and_a_concat_is_written_in_place() -> None:
    b = models.Builder(opset=17)
    both = b.op("Concat", b.conv("x", 4, 4), b.conv("x", 4, 4), axis=1)
    flat = b.op("Flatten", b.conv(both, 8, 4))
    model = OnnxGraph(b.model(flat, (1, 4, "h", "w"), 2)).to_model("test")
    assert moved_bytes(model, SHAPE)[0] == (1 + 1 + 1 + 1 + 2 + 1) * TENSOR
    # As a copy, it reads and writes both parts.
    assert moved_bytes(model, SHAPE)[1] - moved_bytes(model, SHAPE)[0] == 4 * TENSOR


def test_q_goes_into_its_maker_where_nothing_else_reads_that() -> None:
    def quantized(shared: bool) -> onnx.ModelProto:
        b = models.Builder(opset=17)
        conv = b.conv("x", 4, 4)
        scale, zero = b.const(0.1), b.const(0, np.int8)
        q = b.op("QuantizeLinear", conv, scale, zero)
        second = b.conv(b.op("DequantizeLinear", q, scale, zero), 4, 4)
        return made(b, b.op("Concat", second, conv, axis=1) if shared else second)

    layers = {layer.nodes: (layer.read, layer.written) for layer in traffic(quantized(False), SHAPE)}
    assert layers == {
        ("Conv_0", "QuantizeLinear_0"): (TENSOR, TENSOR // 4),
        ("Conv_1",): (TENSOR // 4, TENSOR),
    }
    layers = {layer.nodes: (layer.read, layer.written) for layer in traffic(quantized(True), SHAPE)}
    assert layers[("Conv_0",)] == (TENSOR, TENSOR)
    assert layers[("QuantizeLinear_0",)] == (TENSOR, TENSOR // 4)
