"""Small ONNX models as converters write them, for the tests of the graph passes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from helpers.extras import reason


class Builder:
    """Collects nodes; constants become Constant nodes, as Paddle2ONNX writes them."""

    def __init__(self, opset: int = 12, seed: int = 0) -> None:
        self.opset = opset
        self.nodes: list[onnx.NodeProto] = []
        self.random = np.random.default_rng(seed)
        self.count = 0

    def name(self, stem: str) -> str:
        self.count += 1
        return f"{stem}_{self.count}"

    def const(self, value: object, dtype: type = np.float32) -> str:
        name = self.name("const")
        tensor = numpy_helper.from_array(np.asarray(value, dtype))
        self.nodes.append(helper.make_node("Constant", [], [name], value=tensor))
        return name

    def noise(self, *shape: int, low: float = -0.5, high: float = 0.5) -> str:
        return self.const(self.random.uniform(low, high, shape))

    def op(self, kind: str, *inputs: str, **attributes: object) -> str:
        name = self.name(kind.lower())
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def conv(self, x: str, inside: int, out: int, kernel: int = 3, stride: int = 1, groups: int = 1) -> str:
        weight = self.noise(out, inside // groups, kernel, kernel)
        pads = [kernel // 2] * 4
        return self.op("Conv", x, weight, pads=pads, strides=[stride, stride], group=groups)

    def norm(self, x: str, channels: int) -> str:
        values = [self.noise(channels, low=0.5, high=1.5), self.noise(channels), self.noise(channels)]
        return self.op("BatchNormalization", x, *values, self.noise(channels, low=0.2, high=2), epsilon=1e-5)

    def hard_swish(self, x: str) -> str:
        clip = self.op("Clip", self.op("Add", x, self.const(3.0)), self.const(0.0), self.const(6.0))
        return self.op("Div", self.op("Mul", x, clip), self.const(6.0))

    def layer_norm(self, x: str, size: int, axis: int) -> str:
        centred = self.op("Sub", x, self.op("ReduceMean", x, axes=[axis]))
        square = self.op("Pow", centred, self.const(2.0))
        variance = self.op("Add", self.op("ReduceMean", square, axes=[axis]), self.const(1e-5))
        scaled = self.op("Mul", self.op("Div", centred, self.op("Sqrt", variance)), self.noise(size))
        return self.op("Add", scaled, self.noise(size))

    def model(
        self, output: str, shape: Sequence[int | str] = (-1, 3, "?", "?"), rank: int = 4
    ) -> onnx.ModelProto:
        given = helper.make_tensor_value_info("x", TensorProto.FLOAT, list(shape))
        taken = helper.make_tensor_value_info(output, TensorProto.FLOAT, [f"d{i}" for i in range(rank)])
        graph = helper.make_graph(self.nodes, "g", [given], [taken])
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=7)


def small_det(seed: int = 0) -> onnx.ModelProto:
    """A detection network in small: N×3×H×W to N×1×H×W."""
    b = Builder(seed=seed)
    x = b.hard_swish(b.norm(b.conv("x", 3, 8, stride=2), 8))
    x = b.norm(b.conv(x, 8, 8, groups=8), 8)
    x = b.op("Relu", x)
    up = b.op("ConvTranspose", x, b.noise(8, 1, 2, 2), strides=[2, 2], kernel_shape=[2, 2])
    bias = b.op("Reshape", b.noise(1), b.const([1, 1, 1, 1], np.int64))
    return b.model(b.op("Sigmoid", b.op("Add", up, bias)))


def small_rec(classes: int = 12, height: int = 48, seed: int = 0) -> onnx.ModelProto:
    """A recognition network in small: N×3×height×W to N×W/4×classes."""
    b = Builder(seed=seed)
    x = b.norm(b.conv("x", 3, 6, stride=2), 6)
    x = b.op("AveragePool", x, kernel_shape=[height // 2, 2], strides=[height // 2, 2])
    x = b.op("Transpose", b.op("Squeeze", x, axes=[2]), perm=[0, 2, 1])
    x = b.layer_norm(x, 6, 2)
    x = b.op("Add", b.op("MatMul", x, b.noise(6, classes, low=-3, high=3)), b.noise(classes))
    return b.model(b.op("Softmax", x, axis=2), rank=3)


def run(model: onnx.ModelProto, value: np.ndarray) -> np.ndarray:
    """Runs a model in ONNX Runtime, its own graph changes off."""
    runtime = pytest.importorskip("onnxruntime", reason=reason("onnxruntime", "cpu"))
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = runtime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    found: np.ndarray = session.run(None, {model.graph.input[0].name: value})[0]
    return found


def kinds(model: onnx.ModelProto) -> list[str]:
    return [n.op_type for n in model.graph.node]
