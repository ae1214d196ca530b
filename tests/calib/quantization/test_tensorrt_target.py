"""TensorRT's rules, each on a graph that only it is about."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from helpers import onnx_models as models

from edge_lpr.calib.quantization.layers import find_layers
from edge_lpr.calib.quantization.range_estimator import observe
from edge_lpr.calib.quantization.smooth_quant import smooth_activations
from edge_lpr.calib.quantization.tensorrt_target import TensorRTTarget, fold_products
from edge_lpr.onnx_graph.graph import OnnxGraph

IMAGE = np.random.default_rng(3).normal(size=(1, 8, 16, 16)).astype(np.float32)
TARGET = TensorRTTarget()


def graph_of(b: models.Builder, output: str, rank: int = 4) -> OnnxGraph:
    graph = OnnxGraph(b.model(output, (1, 8, 16, 16), rank))
    graph.to_model("named")
    return graph


def shapes(graph: OnnxGraph) -> dict[str, tuple[int, ...]]:
    return {name: tuple(side or 1 for side in shape) for name, shape in graph.shapes().items()}


def refused(graph: OnnxGraph) -> dict[str, str]:
    return TARGET.refused(graph, shapes(graph))


def quantized(graph: OnnxGraph) -> onnx.ModelProto:
    """Quantizes all that the target does not refuse; the numbers stay near those in float."""
    before = graph.to_model("float")
    layers = [layer for layer in find_layers(graph) if layer.name not in refused(graph)]
    stats = observe(before, TARGET.tensors(graph, layers), [IMAGE])
    TARGET.insert(graph, layers, {name: seen.amax for name, seen in stats.items()})
    made = graph.to_model("int8")
    expected = models.run(before, IMAGE)
    assert np.abs(models.run(made, IMAGE) - expected).max() < 0.06 * np.abs(expected).max()
    return made


def maker(model: onnx.ModelProto, name: str) -> onnx.NodeProto:
    return next(node for node in model.graph.node if name in node.output)


def sources(model: onnx.ModelProto, kind: str) -> list[list[str]]:
    """What makes each input of the nodes of a kind."""
    stored = {item.name for item in model.graph.initializer}
    made = {name: node.op_type for node in model.graph.node for name in node.output}
    return [
        [made.get(name, "x") for name in node.input if name not in stored]
        for node in model.graph.node
        if node.op_type == kind
    ]


def scales(model: onnx.ModelProto, names: Sequence[str]) -> set[float]:
    """The scales of the pairs that make tensors."""
    stored = {item.name: onnx.numpy_helper.to_array(item) for item in model.graph.initializer}
    return {float(stored[maker(model, name).input[1]]) for name in names}


def test_the_other_side_of_a_sum_with_a_quantized_convolution_is_quantized() -> None:
    b = models.Builder(opset=17)
    shortcut = b.op("Relu", b.conv("x", 8, 8))
    made = quantized(graph_of(b, b.op("Add", shortcut, b.conv(shortcut, 8, 8))))
    assert sources(made, "Add") == [["DequantizeLinear", "Conv"]]
    # In one copy with what the convolution reads.
    assert [node.op_type for node in made.graph.node].count("QuantizeLinear") == 2
    (add,) = [node for node in made.graph.node if node.op_type == "Add"]
    last = [node for node in made.graph.node if node.op_type == "Conv"][-1]
    assert add.input[0] == last.input[0]


def test_of_two_convolutions_the_one_that_runs_last_takes_the_sum_in() -> None:
    b = models.Builder(opset=17)
    first = b.conv("x", 8, 8)
    second = b.conv("x", 8, 8)
    made = quantized(graph_of(b, b.op("Add", second, first)))
    (add,) = [node for node in made.graph.node if node.op_type == "Add"]
    quantize = maker(made, maker(made, add.input[1]).input[0])
    assert [maker(made, add.input[0]).op_type, quantize.op_type] == ["Conv", "QuantizeLinear"]
    assert maker(made, quantize.input[0]).name == "Conv_0"


def test_a_sum_without_a_convolution_that_is_its_alone_stays_as_it_is() -> None:
    b = models.Builder(opset=17)
    conv = b.conv("x", 8, 8)
    made = quantized(graph_of(b, b.op("Add", conv, b.op("Mul", conv, b.op("Sigmoid", conv)))))
    assert sources(made, "Add") == [["Conv", "Mul"]]


def test_a_product_with_a_constant_goes_into_the_weights_of_its_one_reader() -> None:
    b = models.Builder(opset=17)
    for factor in (b.noise(1, 8, 1, 1, low=0.5), b.const(0.25)):
        product = b.op("Mul", b.op("Relu", "x"), factor)
        graph = graph_of(b, b.conv(product, 8, 8))
        before = graph.to_model("float")
        fold_products(graph)
        after = graph.to_model("folded")
        np.testing.assert_allclose(models.run(after, IMAGE), models.run(before, IMAGE), atol=1e-5)
        assert "Mul" not in models.kinds(after)
        assert refused(graph) == {}


def test_nothing_is_quantized_behind_a_product_with_a_constant() -> None:
    b = models.Builder(opset=17)
    product = b.op("Mul", b.op("Relu", "x"), b.noise(1, 8, 16, 16))  # of each pixel: no layer's weights
    graph = graph_of(b, b.op("Add", b.conv(product, 8, 8), b.conv(product, 8, 8)))
    fold_products(graph)
    assert all("product with a constant" in why for why in refused(graph).values())
    assert len(refused(graph)) == 2
    assert "QuantizeLinear" not in models.kinds(quantized(graph))


def test_smoothing_leaves_no_product_with_a_constant() -> None:
    b = models.Builder(opset=17)
    spread = b.const(np.array([100.0, *[1.0] * 7]).reshape(8, 1, 1, 1))
    wide = b.op("Conv", "x", b.op("Mul", b.noise(8, 8, 1, 1), spread))
    swish = b.op("Mul", wide, b.op("HardSigmoid", wide))  # where a factor cannot go through
    relu = b.op("Relu", b.conv(swish, 8, 8, groups=8))  # where it can
    graph = graph_of(b, b.conv(relu, 8, 8))
    from edge_lpr.onnx_graph.fold import fold_constants

    fold_constants(graph)
    before = graph.to_model("float")
    layers = find_layers(graph)
    stats = observe(before, TARGET.tensors(graph, layers), [IMAGE])
    moved = smooth_activations(graph, layers, stats, 0.5, keep_products=TARGET.keeps_products)
    after = graph.to_model("smoothed")
    np.testing.assert_allclose(models.run(after, IMAGE), models.run(before, IMAGE), rtol=1e-3, atol=1e-2)
    assert moved and all(activation.folded for activation in moved)
    assert models.kinds(after) == models.kinds(before)


def test_small_matrix_products_stay_in_float() -> None:
    b = models.Builder(opset=17)
    rows = b.op("Reshape", "x", b.const([1, 16, 128], np.int64))
    narrow = b.op("MatMul", rows, b.noise(128, 15))
    wide = b.op("MatMul", b.op("MatMul", narrow, b.noise(15, 32)), b.noise(32, 16))
    said = refused(graph_of(b, wide, 3))
    assert list(said) == ["MatMul_0", "MatMul_1"]
    assert said["MatMul_0"].startswith("a matrix product of 128 by 15:")
    assert said["MatMul_1"].startswith("a matrix product of 15 by 32:")


def test_squeeze_excitation_and_transposed_convolutions_stay_in_float() -> None:
    b = models.Builder(opset=17)
    gate = b.op("Conv", b.op("GlobalAveragePool", "x"), b.noise(8, 8, 1, 1))
    up = b.op("ConvTranspose", b.op("Mul", "x", gate), b.noise(8, 8, 2, 2), strides=[2, 2])
    graph = graph_of(b, b.conv(up, 8, 8))
    said = refused(graph)
    assert list(said) == ["Conv_0", "ConvTranspose_0"]
    assert "one pixel" in said["Conv_0"] and "transposed" in said["ConvTranspose_0"]
    made = quantized(graph)
    assert sources(made, "ConvTranspose") == [["Mul"]]
    assert models.kinds(made).count("QuantizeLinear") == 1


def test_a_concats_inputs_are_quantized_with_one_scale_and_not_what_it_makes() -> None:
    b = models.Builder(opset=17)
    one, other = b.conv("x", 8, 8), b.op("Relu", b.conv("x", 8, 8))
    both = b.op("Concat", one, other, axis=1)
    made = quantized(graph_of(b, b.op("Concat", b.conv(both, 16, 8), b.conv(one, 8, 8), axis=1)))
    concat = next(node for node in made.graph.node if node.op_type == "Concat")
    assert {maker(made, name).op_type for name in concat.input} == {"DequantizeLinear"}
    assert len(scales(made, concat.input)) == 1
    readers = [node for node in made.graph.node if concat.output[0] in node.input]
    assert [node.op_type for node in readers] == ["Conv"]
    # What else reads one of them reads the same copy.
    assert [n for n in made.graph.node if n.op_type == "QuantizeLinear" and n.input[0] == one] != []
    quantizers = [n.input[0] for n in made.graph.node if n.op_type == "QuantizeLinear"]
    assert len(set(quantizers)) == len(quantizers)
