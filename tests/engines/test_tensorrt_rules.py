"""What TensorRT asks of an ONNX file, checked in the package's own models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.extras import reason

from edge_lpr.bundle.manifest import bundled, load_bundle
from edge_lpr.precisions import engine_precisions

onnx = pytest.importorskip("onnx", reason=reason("onnx", "test"))

# What the ONNX parser of TensorRT 8.6 imports (onnx-tensorrt's "Supported ONNX Operators", operators.md), as
# far as models of this kind use it; LayerNormalization since 8.6, the others before. Later parsers take more.
# INT64 weights and shapes are cast down by the parser.
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
    return [(part, p) for part in ("det", "rec") for p in bundle.precisions() if p in engine_precisions()]


@pytest.fixture(scope="module", params=models(), ids=lambda m: f"{m[0]}.{m[1]}")
def model(request: pytest.FixtureRequest) -> Any:
    part, precision = request.param
    return onnx.load_from_string(load_bundle().model(part, precision).read())


@pytest.fixture
def graph(model: Any) -> Any:
    return model.graph


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


def test_types_agree_in_every_node(model: Any) -> None:
    # A strongly typed network casts nothing by itself: not one side of an Add, not a normalization's scale.
    onnx.checker.check_model(model, full_check=True)


def test_what_has_to_be_a_constant_is_one(graph: Any) -> None:
    # "must be an initializer", in the parser's table: shapes, axes, ends of slices, the scales of a Resize.
    stored = {item.name for item in graph.initializer}
    given = ("Reshape", "Squeeze", "Unsqueeze", "Slice", "ReduceSum", "Resize", "LayerNormalization")
    for node in graph.node:
        if node.op_type in given:
            assert set(node.input[1:]) - {""} <= stored, node.name


def test_images_are_enlarged_as_tensorrt_can(graph: Any) -> None:
    for node in graph.node:
        if node.op_type == "Resize":
            said = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            assert said["mode"] in (b"nearest", b"linear")
            assert said["coordinate_transformation_mode"] in (b"asymmetric", b"half_pixel", b"align_corners")


def test_int8_has_the_scales_that_tensorrt_takes(model: Any) -> None:
    """One for an activation; for a weight one per output channel, whose axis is not the same everywhere."""
    graph = model.graph
    kind = np.float16 if model.opset_import[0].version >= 19 else np.float32
    stored = {item.name: onnx.numpy_helper.to_array(item) for item in graph.initializer}
    axes = {"Conv": 0, "MatMul": 1, "ConvTranspose": 1}
    for node in graph.node:
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
            continue
        assert len(node.input) == 3, f"{node.name}: TensorRT 8 wants the zero point given"
        scale, zero = stored[node.input[1]], stored[node.input[2]]
        assert scale.dtype == kind and (scale > 0).all() and scale.shape == zero.shape
        if node.input[0] not in stored:
            assert scale.ndim == 0, f"{node.name}: an activation has one scale"
            continue
        weight = stored[node.input[0]]
        assert node.op_type == "DequantizeLinear" and weight.dtype == np.int8
        axis = next(a.i for a in node.attribute if a.name == "axis")
        assert scale.shape == (weight.shape[axis],)
        for reader in graph.node:
            if node.output[0] in reader.input:
                assert list(reader.input).index(node.output[0]) == 1, f"{reader.name}: a bias stays in float"
                assert axis == axes[reader.op_type], reader.name


def test_int8_is_symmetric(graph: Any) -> None:
    # TensorRT imports Q/DQ with zero points of 0 only.
    zero = {i.name: onnx.numpy_helper.to_array(i) for i in graph.initializer}
    for node in graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear") and len(node.input) > 2:
            assert zero[node.input[2]].dtype == "int8" and not zero[node.input[2]].any()
