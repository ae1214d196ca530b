"""Layers, ranges, scale migration, Q/DQ and FP16 on a network small enough to check by running it."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers import networks
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper

from edge_lpr.backends.onnxruntime import OnnxRuntimeBackend
from edge_lpr.calib.quantization.bias_correction import correct_biases
from edge_lpr.calib.quantization.fp16 import find_overflows, to_fp16
from edge_lpr.calib.quantization.layers import QuantLayer, find_layers, multiply_adds, observe_shapes, watch
from edge_lpr.calib.quantization.qdq import insert_qdq, round_weight, weight_scales
from edge_lpr.calib.quantization.range_estimator import TensorStats, fit_range, observe
from edge_lpr.calib.quantization.smooth_quant import equalize, migration_scales
from edge_lpr.errors import ModelError
from edge_lpr.onnx_graph.graph import OnnxGraph


def outputs(model: onnx.ModelProto) -> NDArray[np.float32]:
    backend = OnnxRuntimeBackend(model.SerializeToString())
    return np.concatenate([backend.run({"image": b})["out"] for b in networks.batches(2, seed=9)])


def quantized(model: onnx.ModelProto, alpha: float | None) -> onnx.ModelProto:
    graph = OnnxGraph(model)
    layers = find_layers(graph)
    stats = observe(model, watch(layers), networks.batches())
    if alpha is not None:
        for moved in equalize(graph, layers, stats, alpha):
            stats[moved.scaled] = stats[moved.tensor].divided(moved.scale)
    layers = find_layers(graph)
    used = {name for layer in layers for name in layer.inputs}
    insert_qdq(graph, layers, {name: fit_range(stats[name], "max") for name in used})
    return graph.to_model("int8")


@pytest.fixture(scope="module")
def model() -> onnx.ModelProto:
    return networks.spread_network()


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


def test_ranges() -> None:
    rng = np.random.default_rng(0)
    values = rng.standard_normal((4, 50_000)).astype(np.float32)
    values[2, 7] = -40.0
    stats = TensorStats((1, 4), np.abs(values).max(axis=1), values)
    assert fit_range(stats, "max") == pytest.approx(40)
    assert 3.5 < fit_range(stats, "percentile") < 5
    assert 3 < fit_range(stats, "mse") < 30

    def error(amax: float) -> float:
        step = amax / 127
        return float(np.square(np.clip(np.rint(values / step), -127, 127) * step - values).mean())

    assert error(fit_range(stats, "mse")) < error(40)
    assert error(fit_range(stats, "mse")) < error(fit_range(stats, "percentile"))
    silent = TensorStats((1, 1), np.zeros(1, np.float32), np.zeros((1, 5), np.float32))
    assert fit_range(silent, "mse") > 0


def test_observation_sees_channels(model: onnx.ModelProto) -> None:
    stats = observe(model, {"a0": 1, "m6": -1, "sum": None}, networks.batches())
    assert stats["a0"].channel_max.shape == (8,)
    assert stats["a0"].channel_max[:2].min() > 20 * stats["a0"].channel_max[2:].max()
    assert stats["m6"].channel_max.shape == (6,)
    assert stats["sum"].channel_max.shape == (1,)
    halved = stats["a0"].divided(np.full(8, 2, np.float32))
    assert halved.amax == pytest.approx(stats["a0"].amax / 2)
    with pytest.raises(ModelError, match="no calibration image"):
        observe(model, {"a0": 1}, [])


def test_migration_scales() -> None:
    weight = np.ones((2, 2, 1, 1), np.float32)
    layer = QuantLayer("c", "Conv", ("x",), "w")
    scale = migration_scales(np.array([100, 1], np.float32), [(layer, weight)], 0.5)
    assert scale[0] / scale[1] == pytest.approx(10)
    depthwise = QuantLayer("d", "Conv", ("x",), "w", groups=2)
    scale = migration_scales(np.array([100, 1], np.float32), [(depthwise, weight[:, :1])], 0.5)
    assert scale[0] / scale[1] == pytest.approx(100)
    assert np.isfinite(migration_scales(np.array([0, 1], np.float32), [(layer, 0 * weight)], 0.5)).all()


def test_moving_scales_changes_nothing_in_float_and_folds_where_it_can(model: onnx.ModelProto) -> None:
    graph = OnnxGraph(model)
    layers = find_layers(graph)
    stats = observe(model, watch(layers), networks.batches())
    moved = {m.tensor: m for m in equalize(graph, layers, stats, 0.5)}
    np.testing.assert_allclose(outputs(graph.to_model("moved")), outputs(model), atol=1e-5)
    assert moved["a1"].folded  # through ReLU into the convolution before it
    assert moved["norm"].folded  # into gamma and beta
    assert moved["p2"].folded  # one value per channel costs nothing
    assert not moved["sum"].folded  # a residual sum: the product stays
    assert moved["a0"].spread > 10
    # What the layers read is even now, and is what the statistics say without running again.
    seen = observe(graph.to_model("moved"), {moved["a0"].scaled: 1}, networks.batches())[moved["a0"].scaled]
    foretold = stats["a0"].divided(moved["a0"].scale)
    np.testing.assert_allclose(seen.channel_max, foretold.channel_max, rtol=1e-4)
    assert seen.channel_max.max() / seen.channel_max.min() < moved["a0"].spread


def test_moved_scales_save_the_small_channels(model: onnx.ModelProto) -> None:
    reference = outputs(model)
    plain = float(np.abs(outputs(quantized(model, None)) - reference).mean())
    cured = float(np.abs(outputs(quantized(model, 0.5)) - reference).mean())
    assert cured < plain / 2


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
        insert_qdq(graph, layers[:1], ranges)
        made = graph.to_model("int8")
        means = [
            np.concatenate(
                [
                    OnnxRuntimeBackend(with_output(m, "c0").SerializeToString()).run({"image": b})["c0"]
                    for b in networks.batches()
                ]
            )
            for m in (made, model)
        ]
        errors[corrected] = float(np.abs((means[0] - means[1]).mean(axis=(0, 2, 3))).mean())
    assert errors[True] < errors[False] / 4


def with_output(model: onnx.ModelProto, name: str) -> onnx.ModelProto:
    watched = onnx.ModelProto.FromString(model.SerializeToString())
    watched.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    return watched


def test_int8_follows_tensorrts_rules(model: onnx.ModelProto) -> None:
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
    insert_qdq(graph, layers[1:2], {layers[1].inputs[0]: stats[layers[1].inputs[0]].amax})
    made = graph.to_model("one")
    assert [n.op_type for n in made.graph.node].count("QuantizeLinear") == 1
    assert [n.op_type for n in made.graph.node].count("DequantizeLinear") == 2


def test_weights_round_to_the_nearest_of_255_levels() -> None:
    weight = np.array([[1.27, -1.27, 0.016, 0.0], [0, 0, 0, 0]], np.float32)
    scales = weight_scales(weight, 0)
    assert scales[0] == pytest.approx(0.01)
    assert round_weight(weight, scales, 0).tolist() == [[127, -127, 2, 0], [0, 0, 0, 0]]


def test_fp16_is_typed_and_close(model: onnx.ModelProto) -> None:
    graph = OnnxGraph(model)
    to_fp16(graph, [])
    made = graph.to_model("fp16")
    assert made.graph.input[0].type.tensor_type.elem_type == TensorProto.UINT8
    assert made.graph.output[0].type.tensor_type.elem_type == TensorProto.FLOAT
    assert {t.data_type for t in made.graph.initializer if numpy_helper.to_array(t).dtype.kind == "f"} == {
        TensorProto.FLOAT16
    }
    change = np.abs(outputs(made) - outputs(model))
    assert 0 < change.mean() < 1e-3


def test_overflows_are_found_by_running_and_kept() -> None:
    model = networks.spread_network(spread=50_000.0)
    reasons = find_overflows(model, networks.batches())
    by_type = {name.split("_")[0] for name in reasons}
    assert "Conv" in by_type
    assert any("a value of" in reason for reason in reasons.values())
    graph = OnnxGraph(model)
    to_fp16(graph, reasons)
    kept = graph.to_model("fp16")
    assert np.isfinite(outputs(kept)).all()
    np.testing.assert_allclose(outputs(kept), outputs(model), atol=2e-2)
    types = {n.op_type for n in kept.graph.node}
    assert "Cast" in types
    # The mild network overflows nowhere, but its pooled sums show in none either.
    assert find_overflows(networks.spread_network(spread=1.0), networks.batches()) == {}


def test_sums_inside_of_an_operator_count() -> None:
    # 256 values of up to a few hundred add up beyond the limit though none of them is near it.
    model = networks.spread_network(spread=2000.0)
    reasons = find_overflows(model, networks.batches())
    assert any("a sum of" in reason for reason in reasons.values())


def test_a_weight_beyond_fp16_is_said(model: onnx.ModelProto) -> None:
    graph = OnnxGraph(model)
    graph.constants["b0"] = graph.constants["b0"] * np.float32(1e6)
    with pytest.raises(ModelError, match="beyond FP16"):
        to_fp16(graph, [])
