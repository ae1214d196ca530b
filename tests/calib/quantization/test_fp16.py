"""Typed FP16, with FP32 where it overflows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import onnx
import pytest
from helpers import networks, onnx_models
from onnx import TensorProto, numpy_helper, shape_inference

from edge_lpr.calib.quantization.cache import Cache
from edge_lpr.calib.quantization.calibration_data import CalibrationData
from edge_lpr.calib.quantization.fp16 import find_overflows, make, sensitive_nodes, to_fp16
from edge_lpr.calib.quantization.job import Job
from edge_lpr.calib.quantization.options import CalibrationOptions
from edge_lpr.errors import ModelError
from edge_lpr.onnx_graph.graph import OnnxGraph


def test_fp16_is_typed_and_close(model: onnx.ModelProto) -> None:
    graph = OnnxGraph(model)
    to_fp16(graph, [])
    made = graph.to_model("fp16")
    assert made.graph.input[0].type.tensor_type.elem_type == TensorProto.UINT8
    assert made.graph.output[0].type.tensor_type.elem_type == TensorProto.FLOAT
    assert {t.data_type for t in made.graph.initializer if numpy_helper.to_array(t).dtype.kind == "f"} == {
        TensorProto.FLOAT16
    }
    change = np.abs(networks.outputs(made) - networks.outputs(model))
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
    assert np.isfinite(networks.outputs(kept)).all()
    np.testing.assert_allclose(networks.outputs(kept), networks.outputs(model), atol=2e-2)
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


def job(objective: networks.Nearness, model: onnx.ModelProto, lines: list[str]) -> Job:
    data = CalibrationData([], [], [], [], [], "", [], [], "", labelled=True)
    return Job(
        "rec", model, networks.batches(), objective, Cache(None), CalibrationOptions(), lines.append, data
    )


def test_what_stays_in_fp32_is_said_with_its_reason() -> None:
    model = networks.spread_network(spread=50_000.0)
    lines: list[str] = []
    batches: list[int] = []
    made, facts = make(job(networks.Nearness(model), model, lines), batches.append)
    assert {TensorProto.FLOAT, TensorProto.FLOAT16} <= {t.data_type for t in made.graph.initializer}
    assert len(batches) == len(networks.batches())
    kept = {entry["layer"]: entry["why"] for entry in facts["float_layers"]}
    assert lines == [f"rec fp16: {name} stays in FP32: {why}" for name, why in kept.items()]
    assert facts["accuracy"]["metric"] == "nearness"
    assert facts["accuracy"]["fp32"] == 1
    assert 0.99 < facts["accuracy"]["fp16"] < 1


def test_fp16_that_loses_more_than_its_budget_is_a_warning(model: onnx.ModelProto) -> None:
    lines: list[str] = []
    strict = job(networks.Nearness(model, strictness=1000.0), model, lines)
    make(strict, lambda n: None)
    (warning,) = strict.data.warnings
    assert "rec fp16 loses" in warning
    assert warning.endswith("points, more than 0.1")
    assert lines[-1] == f"warning: {warning}"


def classifier(behind: str | None) -> onnx.ModelProto:
    """A layer norm, an inner softmax, and a last one with a slice behind; `behind` is one node more."""
    b = onnx_models.Builder(opset=17)
    rows = b.op("Reshape", "x", b.const([0, 16, 48], np.int64))
    norm = b.op("LayerNormalization", rows, b.noise(48), b.noise(48), axis=-1)
    weights = b.op("Softmax", b.op("MatMul", norm, b.noise(48, 16)), axis=-1)
    probs = b.op("Softmax", b.op("MatMul", weights, b.noise(16, 10)), axis=-1)
    kept = b.op("Slice", probs, b.const([0], np.int64), b.const([8], np.int64), b.const([2], np.int64))
    output = {
        None: lambda: kept,
        "MatMul": lambda: b.op("MatMul", kept, b.noise(8, 4)),
    }[behind]()
    return OnnxGraph(b.model(output, (1, 3, 16, 16), 3)).to_model("classifier")


def test_layer_norms_and_the_last_softmax_compute_in_fp32() -> None:
    model = classifier(None)
    reasons = sensitive_nodes(model)
    assert list(reasons) == ["LayerNormalization_0", "Softmax_1", "Slice_0"]
    graph = OnnxGraph(model)
    to_fp16(graph, reasons)
    made = shape_inference.infer_shapes(graph.to_model("fp16"))
    kinds = {i.name: i.type.tensor_type.elem_type for i in (*made.graph.value_info, *made.graph.output)}
    types = {node.name: kinds[node.output[0]] for node in made.graph.node if node.op_type != "Cast"}
    assert {name for name, kind in types.items() if kind == TensorProto.FLOAT} == set(reasons)
    # The probabilities do not pass FP16 on their way out.
    assert made.graph.node[-1].op_type != "Cast"


def test_a_softmax_with_a_layer_behind_it_makes_no_output() -> None:
    assert list(sensitive_nodes(classifier("MatMul"))) == ["LayerNormalization_0"]


def test_with_q_and_dq_the_scales_become_fp16_and_stay_what_they_are(
    quantized: Callable[[onnx.ModelProto, float | None], onnx.ModelProto], model: onnx.ModelProto
) -> None:
    twin = quantized(model, None)
    graph = OnnxGraph(twin, 19)
    to_fp16(graph, sensitive_nodes(twin))
    made = graph.to_model("int8")
    assert made.opset_import[0].version == 19
    scales = [
        {n.output[0]: numpy_helper.to_array(stored[n.input[1]]) for n in m.graph.node if "Quant" in n.op_type
         or n.op_type == "DequantizeLinear"}
        for m in (twin, made)
        for stored in [{t.name: t for t in m.graph.initializer}]
    ]  # fmt: skip
    assert {value.dtype for value in scales[1].values()} == {np.dtype(np.float16)}
    for name, value in scales[0].items():
        np.testing.assert_array_equal(scales[1][name].astype(np.float32), value)
    change = np.abs(networks.outputs(made) - networks.outputs(twin))
    assert change.mean() < 5e-3
