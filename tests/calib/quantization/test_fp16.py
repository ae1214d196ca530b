"""Typed FP16, with FP32 where it overflows."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers import networks
from onnx import TensorProto, numpy_helper

from edge_lpr.calib.quantization.fp16 import find_overflows, to_fp16
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
