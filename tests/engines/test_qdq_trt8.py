"""The rewriting for TensorRT 8.6, run in ONNX Runtime on the package's models and on a network of our own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from helpers.extras import reason
from numpy.typing import NDArray

from edge_lpr.bundle.manifest import bundled, load_bundle
from edge_lpr.engines.qdq_trt8 import rewrite_for_trt8
from edge_lpr.io.image_io import read_image
from edge_lpr.types import Part

onnx = pytest.importorskip("onnx", reason=reason("onnx", "test"))
ort = pytest.importorskip("onnxruntime", reason=reason("onnxruntime", "cpu"))

STREET = Path(__file__).resolve().parents[2] / "samples" / "street.jpg"


def run(data: bytes, array: NDArray[Any]) -> NDArray[np.float32]:
    """Runs a model node by node, as it is written."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    (result,) = session.run(None, {session.get_inputs()[0].name: array})
    return np.asarray(result, np.float32)


def weights(data: bytes) -> list[tuple[str, int, int]]:
    """Lists what reads each quantized constant, with how many scales, and the constant's type."""
    graph = onnx.load_from_string(data).graph
    stored = {item.name: item for item in graph.initializer}
    found = []
    for node in graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear") and node.input[0] in stored:
            scales = onnx.numpy_helper.to_array(stored[node.input[1]])
            found.append((node.op_type, scales.size, stored[node.input[0]].data_type))
    return found


@pytest.mark.parametrize("part", ["det", "rec"])
def test_the_packages_int8_models_stay_what_they_are(part: Part) -> None:
    if not (bundled() / "bundle.json").is_file() or "int8" not in load_bundle().precisions():
        pytest.skip("needs a default bundle with INT8")
    bundle = load_bundle()
    data = bundle.model(part, "int8").read()
    rewritten, _ = rewrite_for_trt8(data)
    model = onnx.load_from_string(rewritten)
    onnx.checker.check_model(model, full_check=True)
    assert [opset.version for opset in model.opset_import] == [17]
    types = {item.data_type for item in model.graph.initializer}
    assert types == {onnx.TensorProto.FLOAT, onnx.TensorProto.INT8, onnx.TensorProto.INT64}
    before, after = weights(data), weights(rewritten)
    assert {kind for kind, _, _ in before} == {"DequantizeLinear"}
    assert len(after) == len(before) and {kind for kind, _, _ in after} == {"QuantizeLinear"}
    assert {element for _, _, element in after} == {onnx.TensorProto.FLOAT}
    width, height = (640, 384) if part == "det" else (bundle.rec.widths[0], bundle.rec.height)
    image = cv2.resize(read_image(STREET), (width, height))[None]
    one, other = run(data, image), run(rewritten, image)
    assert one.max() > 0.5
    # A rounding that falls the other way moves a value by one INT8 step, and what follows by a little: FP16
    # in the one and FP32 in the other has many fall so, most where a picture shows nothing that is clear.
    assert np.abs(one - other).mean() < 1e-3


def network(groups: int, bias: bool) -> tuple[bytes, NDArray[np.int8]]:
    """A transposed convolution of 4 to 6 channels; its INT8 weight has a scale per output channel."""
    generator = np.random.default_rng(0)
    levels = generator.integers(-127, 128, (4, 6 // groups, 2, 2)).astype(np.int8)
    scales = generator.uniform(0.001, 0.1, 6 // groups).astype(np.float32)
    constants = {"w": levels, "s": scales, "z": np.zeros(len(scales), np.int8)}
    if bias:
        constants["b"] = generator.normal(size=6).astype(np.float32)
    nodes = [
        onnx.helper.make_node("DequantizeLinear", ["w", "s", "z"], ["weight"], "dequantize", axis=1),
        onnx.helper.make_node(
            "ConvTranspose",
            ["x", "weight", *(["b"] if bias else [])],
            ["y"],
            "up",
            strides=[2, 2],
            group=groups,
        ),
    ]
    sides = [1, 4, 5, 7]
    graph = onnx.helper.make_graph(
        nodes,
        "g",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, sides)],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 6, 10, 14])],
        [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    return model.SerializeToString(), levels


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("bias", [True, False])
def test_a_transposed_convolution_gets_one_scale(groups: int, bias: bool) -> None:
    data, _ = network(groups, bias)
    rewritten, _ = rewrite_for_trt8(data)
    assert weights(rewritten) == [("QuantizeLinear", 1, onnx.TensorProto.FLOAT)]
    for item in onnx.load_from_string(rewritten).graph.initializer:
        if item.name.startswith(("weight_scale", "weight_zero")):
            assert not item.dims, "one scale is a scalar"
    operators = [node.op_type for node in onnx.load_from_string(rewritten).graph.node]
    assert operators == ["QuantizeLinear", "DequantizeLinear", "ConvTranspose", "Mul"]
    image = np.random.default_rng(1).normal(size=(1, 4, 5, 7)).astype(np.float32)
    np.testing.assert_allclose(run(rewritten, image), run(data, image), rtol=1e-4, atol=1e-5)


def test_every_weight_is_rounded_back_to_the_integer_that_it_was() -> None:
    data, levels = network(1, bias=True)
    graph = onnx.load_from_string(rewrite_for_trt8(data)[0]).graph
    stored = {item.name: onnx.numpy_helper.to_array(item) for item in graph.initializer}
    (quantize,) = [node for node in graph.node if node.op_type == "QuantizeLinear"]
    weight, scale = stored[quantize.input[0]], stored[quantize.input[1]]
    # TensorRT multiplies with the reciprocal.
    np.testing.assert_array_equal(np.rint(weight * (np.float32(1) / scale)), levels)
    assert "w" not in stored


def test_a_model_without_int8_weights_stays() -> None:
    if not (bundled() / "bundle.json").is_file():
        pytest.skip("needs the default bundle")
    data = load_bundle().model("rec", "fp32").read()
    rewritten, float_nodes = rewrite_for_trt8(data)
    before, after = onnx.load_from_string(data), onnx.load_from_string(rewritten)
    assert float_nodes is None  # all of it is FP32, as it says itself
    assert after.graph.node == before.graph.node and after.graph.initializer == before.graph.initializer


def test_int8_over_fp16_becomes_opset_17_with_fp32_scales_and_says_what_was_fp32() -> None:
    constants = {
        "s": np.array(0.02, np.float16),
        "z": np.array(0, np.int8),
        "w": np.random.default_rng(0).integers(-127, 128, (4, 3, 1, 1)).astype(np.int8),
        "ws": np.full(4, 0.01, np.float16),
        "wz": np.zeros(4, np.int8),
        "b": np.arange(4, dtype=np.float16),
    }
    half, full = onnx.TensorProto.FLOAT16, onnx.TensorProto.FLOAT
    node = onnx.helper.make_node
    nodes = [
        node("Cast", ["x"], ["xh"], "in", to=half),
        node("QuantizeLinear", ["xh", "s", "z"], ["q"], "q"),
        node("DequantizeLinear", ["q", "s", "z"], ["dq"], "dq"),
        node("DequantizeLinear", ["w", "ws", "wz"], ["wd"], "wdq", axis=0),
        node("Conv", ["dq", "wd", "b"], ["c"], "conv"),
        node("Cast", ["c"], ["cf"], "out", to=full),
        node("GlobalAveragePool", ["cf"], ["y"], "pool"),
    ]
    infos = [
        onnx.helper.make_tensor_value_info(name, kind, sides)
        for name, kind, sides in (
            ("x", onnx.TensorProto.UINT8, [1, 3, 4, 4]),
            ("y", full, [1, 4, 1, 1]),
        )
    ]
    stored = [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = onnx.helper.make_graph(nodes, "g", infos[:1], infos[1:], stored)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 19)], ir_version=9)
    rewritten, float_nodes = rewrite_for_trt8(model.SerializeToString())
    assert float_nodes == ("pool",)
    made = onnx.load_from_string(rewritten)
    onnx.checker.check_model(made, full_check=True)
    assert made.opset_import[0].version == 17
    assert [n.op_type for n in made.graph.node] == [
        "Cast", "QuantizeLinear", "DequantizeLinear", "QuantizeLinear", "DequantizeLinear", "Conv",
        "GlobalAveragePool",
    ]  # fmt: skip
    assert {i.data_type for i in made.graph.initializer} == {full, onnx.TensorProto.INT8}
    image = np.random.default_rng(1).integers(0, 3, (1, 3, 4, 4)).astype(np.uint8)
    np.testing.assert_allclose(run(rewritten, image), run(model.SerializeToString(), image), rtol=2e-3)
