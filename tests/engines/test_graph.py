"""What TensorRT asks of an ONNX file, checked in the package's own models."""

from __future__ import annotations

from typing import Any

import pytest

from edge_lpr.bundle import bundled, load_bundle

onnx = pytest.importorskip("onnx")

# What the ONNX parser of TensorRT 8.6 (onnx-tensorrt's "Supported ONNX Operators") imports, as far as the
# models use it; INT64 weights and shapes are cast down by the parser.
SUPPORTED = frozenset(
    [
        "Add",
        "AveragePool",
        "BatchNormalization",
        "Cast",
        "Clip",
        "Concat",
        "Constant",
        "Conv",
        "ConvTranspose",
        "DequantizeLinear",
        "Div",
        "Erf",
        "Exp",
        "Expand",
        "Flatten",
        "Gather",
        "Gemm",
        "GlobalAveragePool",
        "HardSigmoid",
        "Identity",
        "LayerNormalization",
        "MatMul",
        "MaxPool",
        "Mul",
        "Pow",
        "QuantizeLinear",
        "ReduceMean",
        "ReduceSum",
        "Relu",
        "Reshape",
        "Resize",
        "Shape",
        "Sigmoid",
        "Slice",
        "Softmax",
        "Split",
        "Sqrt",
        "Squeeze",
        "Sub",
        "Transpose",
        "Unsqueeze",
    ]
)


def models() -> list[tuple[str, str]]:
    if not (bundled() / "bundle.json").is_file():
        return []
    bundle = load_bundle()
    return [(part, p) for part in ("det", "rec") for p in bundle.precisions()]


@pytest.fixture(params=models(), ids=lambda m: f"{m[0]}.{m[1]}")
def graph(request: pytest.FixtureRequest) -> Any:
    part, precision = request.param
    return onnx.load_from_string(load_bundle().model(part, precision).read()).graph


def test_only_operators_that_tensorrt_imports(graph: Any) -> None:
    assert {node.op_type for node in graph.node} - SUPPORTED == set()


def test_a_uint8_input_goes_into_a_cast(graph: Any) -> None:
    # TensorRT takes UINT8 at the network's edge alone, and only where a cast takes it off at once.
    (image,) = graph.input
    users = [node.op_type for node in graph.node if image.name in node.input]
    assert image.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert users == ["Cast"]


def test_the_output_is_float32_however_the_model_computes(graph: Any) -> None:
    assert [o.type.tensor_type.elem_type for o in graph.output] == [onnx.TensorProto.FLOAT]


def test_int8_is_symmetric(graph: Any) -> None:
    # TensorRT imports Q/DQ with zero points of 0 only.
    zero = {i.name: onnx.numpy_helper.to_array(i) for i in graph.initializer}
    for node in graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear") and len(node.input) > 2:
            assert zero[node.input[2]].dtype == "int8" and not zero[node.input[2]].any()
