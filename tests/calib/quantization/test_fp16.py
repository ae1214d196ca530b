"""Typed FP16, with FP32 where it overflows."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers import networks
from onnx import TensorProto, numpy_helper

from edge_lpr.calib.quantization.cache import Cache
from edge_lpr.calib.quantization.calibration_data import CalibrationData
from edge_lpr.calib.quantization.fp16 import find_overflows, make, to_fp16
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
