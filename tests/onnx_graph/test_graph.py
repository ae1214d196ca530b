"""The opset upgrade keeps a Softmax a Softmax where its rank can be known, and always its meaning."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge_lpr.onnx_graph.graph import OPSET, OnnxGraph


def _attention(dims: list[int | str], axis: int) -> onnx.ModelProto:
    """Opset 12: a computed Reshape, behind which shape inference knows no rank, and a Softmax."""
    node = helper.make_node
    nodes = [
        node("Shape", ["x"], ["shape"]),
        node("Slice", ["shape", "zero", "one"], ["n"]),
        node("Concat", ["n", "heads", "rest"], ["target"], axis=0),
        node("Reshape", ["x", "target"], ["rows"]),
        node("Softmax", ["rows"], ["y"], axis=axis),
    ]
    constants = {
        "zero": np.array([0], np.int64),
        "one": np.array([1], np.int64),
        "heads": np.array([2], np.int64),
        "rest": np.array([-1], np.int64),
    }
    graph = helper.make_graph(
        nodes,
        "attention",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, dims)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["a", "b", "c"])],
        [numpy_helper.from_array(v, k) for k, v in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 12)], ir_version=7)


def _run(model: onnx.ModelProto, x: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    y: np.ndarray = session.run(None, {"x": x})[0]
    return y


@pytest.mark.parametrize("dims", [["N", 4, "?", "?"], [-1, 4, -1, -1]])
def test_a_softmax_over_the_last_axis_stays_one_operator(dims: list[int | str]) -> None:
    model = _attention(dims, axis=2)
    graph = OnnxGraph(model)
    assert [n.op_type for n in graph.nodes].count("Softmax") == 1
    assert "Flatten" not in [n.op_type for n in graph.nodes]
    assert [d.dim_value or d.dim_param for d in graph.inputs[0].type.tensor_type.shape.dim[2:]] == ["", ""]
    made = graph.to_model("attention")
    assert made.opset_import[0].version == OPSET
    x = np.random.default_rng(0).standard_normal((3, 4, 5, 2)).astype(np.float32)
    np.testing.assert_allclose(_run(made, x), _run(model, x), atol=1e-6)


def test_a_softmax_over_several_axes_keeps_its_meaning() -> None:
    model = _attention(["N", 4, "H", "W"], axis=1)  # before opset 13 this normalised all axes from 1 on
    made = OnnxGraph(model).to_model("attention")
    x = np.random.default_rng(0).standard_normal((3, 4, 5, 2)).astype(np.float32)
    y = _run(made, x)
    np.testing.assert_allclose(y.sum(axis=(1, 2)), 1, atol=1e-5)
    np.testing.assert_allclose(y, _run(model, x), atol=1e-6)
