"""Q/DQ that becomes ONNX Runtime's integer kernels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from helpers import networks
from helpers.cpu_graphs import operators, quantized_convolutions
from onnx import numpy_helper

from edge_lpr.calib.quantization.cpu.bounds import estimate_bounds
from edge_lpr.calib.quantization.cpu.equalization import equalize
from edge_lpr.calib.quantization.cpu.qdq import WEIGHT_LEVELS, convolutions, insert_qdq, watched
from edge_lpr.calib.quantization.range_estimator import TensorStats, observe
from edge_lpr.onnx_graph.graph import OnnxGraph


def quantized(
    model: onnx.ModelProto, stats: dict[str, TensorStats], names: list[str] | None = None, alpha: float = 0.5
) -> onnx.ModelProto:
    graph = OnnxGraph(model)
    stats = dict(stats)
    chosen = [layer.name for layer in convolutions(graph)] if names is None else names
    equalize(graph, chosen, stats, alpha)
    insert_qdq(graph, chosen, lambda name: estimate_bounds(stats[name].sample, "max"))
    return graph.to_model("int8")


def test_every_quantized_convolution_becomes_an_integer_kernel(
    lowered: onnx.ModelProto, seen: dict[str, TensorStats], tmp_path: Path
) -> None:
    made = quantized(lowered, seen)
    wanted = quantized_convolutions(made)
    assert len(wanted) == len(convolutions(OnnxGraph(lowered))) == 5
    found = operators(made.SerializeToString(), tmp_path)
    assert found["QLinearConv"] == len(wanted)
    # The gate's own convolution stays in float; all maps between the convolutions are UINT8.
    assert found["Conv"] + found["FusedConv"] == 1
    assert (found["QLinearAdd"], found["QLinearGlobalAveragePool"]) == (1, 1)
    assert found["QLinearMul"] == 3  # two for the hard-swish, one behind the gate
    assert not found["Cast"] and not found["Sub"]
    # In float goes only the gate; out come what it is made of, and the end.
    assert (found["QuantizeLinear"], found["DequantizeLinear"]) == (1, 2)


def test_one_layer_alone_is_an_integer_kernel_too(
    lowered: onnx.ModelProto, seen: dict[str, TensorStats], tmp_path: Path
) -> None:
    for layer in convolutions(OnnxGraph(lowered)):
        made = quantized(lowered, seen, [layer.name])
        assert len(quantized_convolutions(made)) == 1
        assert operators(made.SerializeToString(), tmp_path)["QLinearConv"] == 1


def test_it_returns_about_what_the_network_does() -> None:
    model = networks.spread_network(spread=1)
    seen = observe(model, watched(OnnxGraph(model)), networks.batches())
    reference = networks.outputs(model)
    error = np.abs(networks.outputs(quantized(model, seen)) - reference).mean()
    assert error < 0.05 * np.abs(reference).mean()


def test_weights_have_seven_bits_for_cpus_that_add_in_sixteen(
    lowered: onnx.ModelProto, seen: dict[str, TensorStats]
) -> None:
    assert np.iinfo(np.int16).max >= 255 * WEIGHT_LEVELS * 2
    made = quantized(lowered, seen)
    constants = {t.name: numpy_helper.to_array(t) for t in made.graph.initializer}
    producers = {name: node for node in made.graph.node for name in node.output}
    for node in quantized_convolutions(made):
        weight, bias = (producers[name] for name in node.input[1:])
        levels = constants[weight.input[0]]
        assert levels.dtype == np.int8 and np.abs(levels).max() == WEIGHT_LEVELS
        assert len(constants[weight.input[1]]) == len(levels)
        assert constants[bias.input[0]].dtype == np.int32
    for node in made.graph.node:
        if node.op_type == "QuantizeLinear":
            assert constants[node.input[2]].dtype == np.uint8


def test_the_image_is_taken_as_it_is(lowered: onnx.ModelProto, seen: dict[str, TensorStats]) -> None:
    made = quantized(lowered, seen, ["Conv_0"])
    producers = {name: node for node in made.graph.node for name in node.output}
    first = quantized_convolutions(made)[0]
    back = producers[first.input[0]]
    constants = {t.name: numpy_helper.to_array(t) for t in made.graph.initializer}
    assert (float(constants[back.input[1]]), int(constants[back.input[2]])) == (1.0, 127)
    planar = producers[back.input[0]]
    assert (planar.op_type, planar.input[0]) == ("Transpose", "image")


@pytest.mark.parametrize("values", [np.linspace(-8, 8, 257, dtype=np.float32)])
def test_the_gate_of_a_hard_swish_is_a_rounding_that_saturates(values: np.ndarray) -> None:
    """Rounded to 6/255 around 128 and read as 1/255 from 0: clip(x/6 + 1/2, 0, 1) to within a step."""
    levels = np.clip(np.rint(values / (6 / 255)) + 128, 0, 255)
    np.testing.assert_allclose(levels / 255, np.clip(values / 6 + 0.5, 0, 1), atol=1 / 255)
