"""Small networks with what quantization stumbles over: spread channels, hard-swish, residuals, a gate."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from edge_lpr.backends.onnxruntime import OnnxRuntimeBackend
from edge_lpr.onnx_graph.graph import OnnxGraph
from edge_lpr.types import Tick

SIDE = 16


def build(
    nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray], output: str, rank: int
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["N", SIDE, SIDE, 3])],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, [None] * rank)],
        [numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return OnnxGraph(model).to_model("test")


def spread_network(seed: int = 0, spread: float = 100.0) -> onnx.ModelProto:
    """Hard-swish, depthwise, ReLU, squeeze-excitation, residual sum, transposed convolution, MatMul."""
    rng = np.random.default_rng(seed)
    scale = np.ones(8, np.float32)
    scale[:2] = spread

    def weight(*shape: int) -> np.ndarray:
        return (rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))).astype(np.float32)

    constants = {
        "mean": np.full((1, 3, 1, 1), 127, np.float32),
        "w0": weight(8, 3, 3, 3) * scale[:, None, None, None] / 32,
        "b0": scale * 0.1,
        "w1": weight(8, 1, 3, 3),
        "w2": weight(8, 8, 1, 1),
        "b2": weight(8),
        "wg": weight(8, 8, 1, 1),
        "w3": weight(8, 8, 1, 1) / scale[None, :, None, None],
        "w4": weight(8, 4, 2, 2),
        "gamma": np.array([1, 8, 0.5, 2], np.float32),
        "beta": np.zeros(4, np.float32),
        "w5": weight(4, 6),
        "b5": weight(6),
    }
    node = helper.make_node
    pads = {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}
    nodes = [
        node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        node("Transpose", ["float"], ["planar"], perm=[0, 3, 1, 2]),
        node("Sub", ["planar", "mean"], ["centred"]),
        node("Conv", ["centred", "w0", "b0"], ["c0"], **pads),
        node("HardSigmoid", ["c0"], ["h0"], alpha=1 / 6, beta=0.5),
        node("Mul", ["c0", "h0"], ["a0"]),
        node("Conv", ["a0", "w1"], ["c1"], group=8, **pads),
        node("Relu", ["c1"], ["a1"]),
        node("Conv", ["a1", "w2", "b2"], ["c2"]),
        node("GlobalAveragePool", ["c2"], ["p2"]),
        node("Conv", ["p2", "wg"], ["cg"]),
        node("HardSigmoid", ["cg"], ["g2"]),
        node("Mul", ["c2", "g2"], ["a2"]),
        node("Add", ["a0", "a2"], ["sum"]),
        node("Conv", ["sum", "w3"], ["c3"]),
        node("ConvTranspose", ["c3", "w4"], ["c4"], strides=[2, 2]),
        node("Transpose", ["c4"], ["rows"], perm=[0, 2, 3, 1]),
        node("LayerNormalization", ["rows", "gamma", "beta"], ["norm"], axis=-1),
        node("MatMul", ["norm", "w5"], ["m5"]),
        node("Add", ["m5", "b5"], ["m6"]),
        node("Softmax", ["m6"], ["out"], axis=-1),
    ]
    return build(nodes, constants, "out", 4)


def batches(count: int = 4, seed: int = 1) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (2, SIDE, SIDE, 3), np.uint8) for _ in range(count)]


def outputs(model: onnx.ModelProto) -> NDArray[np.float32]:
    """What a network with the output "out" makes of a few images, float32."""
    backend = OnnxRuntimeBackend(model.SerializeToString())
    return np.concatenate([backend.run({"image": b})["out"] for b in batches(2, seed=9)])


class Nearness:
    """An objective of a network with the output "out": its accuracy falls as the output moves.

    Attributes:
        strictness: Accuracy lost by an output that moved by 1 on average.
        asked: How often it was asked.
    """

    metric = "nearness"
    items = 10**9

    def __init__(self, model: onnx.ModelProto, strictness: float = 1.0) -> None:
        self.tick: Tick | None = None
        self.strictness = strictness
        self.batch = batches(1, seed=5)[0]
        self.reference = self.output(model)
        self.asked = 0

    def output(self, model: onnx.ModelProto) -> NDArray[np.float32]:
        return OnnxRuntimeBackend(model.SerializeToString()).run({"image": self.batch})["out"]

    def distance(self, model: onnx.ModelProto) -> float:
        self.asked += 1
        return float(np.abs(self.output(model) - self.reference).mean())

    def accuracy(self, model: onnx.ModelProto) -> float:
        self.asked += 1
        return 1 - self.strictness * float(np.abs(self.output(model) - self.reference).mean())
