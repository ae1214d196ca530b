"""Writes a graph as Q/DQ that ONNX Runtime turns into its integer kernels (QLinearConv, QLinearAdd, …).

Those form only where a DequantizeLinear stands before each input of an operator *and* a QuantizeLinear behind
it, at UINT8 activations. So whole regions run in UINT8, from convolution to convolution:

- A convolution takes UINT8 in, and gives UINT8 out. Its weights are signed and use 7 of their 8 bits: CPUs
  without VNNI add up two products in 16 bits, which 255·127·2 overflows and 255·64·2 does not. (UINT8 weights
  would not overflow either, but their kernels are slower on every CPU.) Its bias is INT32.
- A ReLU is where UINT8 ends: zero stands at 0.
- Hard-swish and swish have no kernel of their own and are products x·f(x). The sigmoid has one. The gate of
  the hard-swish, clip(x/6 + 1/2, 0, 1), is x rounded to 6/255 around 128 and read as 1/255 from 0: what
  saturates is the clip. Beyond ±3 it says nothing, so x need not be told apart below −3.
- Sums, products, concatenations and pools run in UINT8 where all that they take in is UINT8; what only moves
  values (nearest Resize, MaxPool, DepthToSpace) works on the UINT8 itself.
- The image is UINT8 already: the first convolution takes it as it is, with the mean for its zero. (Padding
  then stands for one mean of all channels.)

Everything else stays in float: squeeze-excitations between pool and product, matrix products, layer norms,
softmax, and the layers that a search left in float.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from edge_lpr.calib.quantization.bias_correction import mean_output
from edge_lpr.calib.quantization.cpu.activations import GatedActivation, find_gated
from edge_lpr.calib.quantization.cpu.bounds import STEPS, Bounds, scale_and_zero
from edge_lpr.calib.quantization.layers import CONV, QuantLayer, find_layers
from edge_lpr.onnx_graph.fold import attribute
from edge_lpr.onnx_graph.graph import OnnxGraph

__all__ = ["WEIGHT_LEVELS", "convolutions", "insert_qdq", "watched"]

WEIGHT_LEVELS = 64
"""The largest magnitude of a weight: 255·64·2 stays within 16 bits."""

_SUMS = ("Add", "Mul", "Concat", "GlobalAveragePool", "AveragePool")
_MOVES = ("MaxPool", "Resize", "DepthToSpace")
_MIN_SCALE = 1e-9
_GATE = (np.float32(6 / STEPS), np.uint8(128))
_UNIT = (np.float32(1 / STEPS), np.uint8(0))

Params = tuple[np.float32, np.uint8]
Range = Callable[[str], Bounds]
"""From a tensor's name to its range."""


def convolutions(graph: OnnxGraph) -> list[QuantLayer]:
    """Lists the convolutions that gain by INT8: those over a map, not over the one pixel of a gate."""
    shapes = graph.shapes()
    return [
        layer
        for layer in find_layers(graph)
        if layer.op_type == CONV and shapes.get(layer.inputs[0], ())[2:] != (1, 1)
    ]


def watched(graph: OnnxGraph) -> dict[str, int | None]:
    """Names the activations whose ranges `insert_qdq` may ask for, and their channel axis."""
    names: dict[str, int | None] = {}
    shapes = graph.shapes()
    maps = {name for name, shape in shapes.items() if len(shape) == 4 and name not in graph.constants}
    for node in graph.nodes:
        if node.op_type in (CONV, *_SUMS, *_MOVES, "Relu", "HardSigmoid"):
            for name in (*node.input, *node.output):
                if name in maps:
                    names[name] = 1
    return names


def insert_qdq(graph: OnnxGraph, layers: Collection[str], bounds: Range) -> None:
    """Quantizes convolutions, and what stands between them, in place.

    Args:
        graph: The graph, in float.
        layers: Names of the convolutions that are to run in INT8.
        bounds: Gives the range of an activation.
    """
    _Writer(graph, layers, bounds).write()


class _Writer:
    def __init__(self, graph: OnnxGraph, layers: Collection[str], bounds: Range) -> None:
        self.graph, self.layers, self.bounds = graph, layers, bounds
        self.nodes: list[onnx.NodeProto] = []
        self.params: dict[str, Params] = {}
        self.levels: dict[str, str] = {}  # of a tensor that an integer kernel makes: its UINT8
        self.floats: dict[str, str] = {}  # …and what comes back from that
        self.edges: dict[str, str] = {}  # of a tensor that is made in float: what comes back from its UINT8
        self.gated = find_gated(graph)
        self.inner = {id(n): a.source for a in self.gated.values() for n in a.inner}
        self.sources = {a.source: a for a in self.gated.values()}
        shapes = graph.shapes()
        self.gates = {name for name, shape in shapes.items() if len(shape) == 4 and shape[2:] == (1, 1)}

    def write(self) -> None:
        absorbed: set[int] = set()
        for node in list(self.graph.nodes):
            if id(node) in absorbed or self.inner.get(id(node)) in self.levels:
                continue
            activation = self.gated.get(node.output[0])
            if activation is not None and activation.source in self.levels:
                self._gated(node, activation)
            elif node.op_type == CONV and node.name in self.layers:
                self._convolution(node)
                absorbed |= self._made(node)
            elif node.op_type in _MOVES and node.input[0] in self.levels and _moves_only(node):
                self._move(node)
            elif node.op_type in _SUMS and self._all_levels(node):
                for i, name in enumerate(node.input):
                    node.input[i] = self.floats[name] if name in self.levels else self._edge(name)
                self.nodes.append(node)
                absorbed |= self._made(node)
            else:
                for i, name in enumerate(node.input):
                    node.input[i] = self.floats.get(name, name)
                self.nodes.append(node)
        self.graph.nodes = self.nodes

    def _all_levels(self, node: onnx.NodeProto) -> bool:
        """Tells whether a sum can run in UINT8: on maps that are, and gates, which cost nothing to round."""
        maps = [name for name in node.input if name not in self.gates]
        return bool(maps) and all(name in self.levels for name in maps)

    def _made(self, node: onnx.NodeProto) -> set[int]:
        """Puts the Q/DQ behind an integer kernel; returns the ReLU that it takes the place of."""
        name = node.output[0]
        reader = self.graph.only_consumer(name)
        if reader is not None and reader.op_type == "Relu":
            node.output[0] = name = reader.output[0]
            self._pair(name, self._of(name, 0.0))
            return {id(reader)}
        self._pair(name, self._of(name))
        return set()

    def _of(self, name: str, lowest: float | None = None) -> Params:
        low, high = self.bounds(name)
        return scale_and_zero((low if lowest is None else max(low, lowest), high))

    def _pair(self, name: str, params: Params) -> None:
        scale, zero = self._constants(name, params)
        levels = self._node("QuantizeLinear", [name, scale, zero], f"{name}_levels")
        self._back(name, levels, params)

    def _back(self, name: str, levels: str, params: Params) -> None:
        self.params[name] = params
        self.levels[name] = levels
        scale, zero = self._constants(name, params)
        self.floats[name] = self._node("DequantizeLinear", [levels, scale, zero], f"{name}_back")

    def _edge(self, name: str) -> str:
        """Rounds what is made in float for an integer kernel."""
        if name not in self.edges:
            if name in self.graph.constants:
                value = self.graph.constants[name]
                self.params[name] = scale_and_zero((min(float(value.min()), 0), max(float(value.max()), 0)))
            else:
                self.params[name] = self._of(name)
            scale, zero = self._constants(name, self.params[name])
            levels = self._node("QuantizeLinear", [name, scale, zero], f"{name}_rounded")
            self.edges[name] = self._node("DequantizeLinear", [levels, scale, zero], f"{name}_rounded_back")
        return self.edges[name]

    def _constants(self, name: str, params: Params) -> tuple[str, str]:
        scale, zero = params
        return (
            self.graph.constant(f"{name}_scale", np.array(scale, np.float32)),
            self.graph.constant(f"{name}_zero", np.array(zero, np.uint8)),
        )

    def _node(self, op_type: str, inputs: list[str], stem: str, **attributes: Any) -> str:  # noqa: ANN401
        output = self.graph.fresh(stem)
        self.nodes.append(helper.make_node(op_type, inputs, [output], **attributes))
        return output

    def _move(self, node: onnx.NodeProto) -> None:
        name, source = node.output[0], node.input[0]
        node.input[0] = self.levels[source]
        levels = node.output[0] = self.graph.fresh(f"{name}_levels")
        self.nodes.append(node)
        self._back(name, levels, self.params[source])

    def _gated(self, product: onnx.NodeProto, activation: GatedActivation) -> None:
        x = self.floats[activation.source]
        if activation.kind == "swish":
            made, params = self._node("Sigmoid", [x], f"{activation.source}_sigmoid"), _UNIT
        else:
            made, params = self._times(activation, x), _GATE
        scale, zero = self._constants(made, params)
        levels = self._node("QuantizeLinear", [made, scale, zero], f"{made}_levels")
        scale, zero = self._constants(levels, _UNIT)
        gate = self._node("DequantizeLinear", [levels, scale, zero], f"{levels}_back")
        product.input[:] = [x, gate]
        self.nodes.append(product)
        self._pair(product.output[0], self._of(product.output[0]))

    def _times(self, activation: GatedActivation, x: str) -> str:
        """Multiplies x with the factors of its channels, or with 1: what rounds anew is a product."""
        value = np.ones(1, np.float32)
        if activation.scale is not None:
            value = self.graph.constants[activation.scale]
        step = np.float32(value.max() / STEPS) if value.size > 1 else np.float32(value.reshape(-1)[0])
        levels = self.graph.constant("factors", np.rint(value / step).astype(np.uint8))
        scale, zero = self._constants("factors", (step, np.uint8(0)))
        factors = self._node("DequantizeLinear", [levels, scale, zero], "factors_back")
        return self._node("Mul", [x, factors], f"{activation.source}_gate")

    def _convolution(self, node: onnx.NodeProto) -> None:
        graph, source = self.graph, node.input[0]
        weight = graph.constants[node.input[1]]
        bias = graph.constants[node.input[2]] if len(node.input) > 2 else np.zeros(len(weight), np.float32)
        scales = _weight_scales(weight)
        levels = np.clip(np.rint(weight / scales.reshape(-1, 1, 1, 1)), -WEIGHT_LEVELS, WEIGHT_LEVELS)
        image = _Image.behind(graph, source)
        if image is not None:
            taken = self._image(image)
            self.params[source] = (np.float32(1), image.zero)
            groups = int(attribute(node, "group", 1))
            bias = bias + mean_output(weight, float(image.zero) - image.mean, groups)
        else:
            taken = self.floats[source] if source in self.levels else self._edge(source)
        bias_scales = np.asarray(self.params[source][0] * scales, np.float32)
        room = np.iinfo(np.int32).max // 2
        rounded_bias = np.clip(np.rint(bias / bias_scales), -room, room).astype(np.int32)
        node.input[:] = [
            taken,
            self._weights(node.input[1], levels.astype(np.int8), scales),
            self._weights(f"{node.output[0]}_bias", rounded_bias, bias_scales),
        ]
        self.nodes.append(node)

    def _weights(self, stem: str, levels: NDArray[np.int8 | np.int32], scales: NDArray[np.float32]) -> str:
        inputs = [
            self.graph.constant(f"{stem}_levels", levels),
            self.graph.constant(f"{stem}_scales", scales),
            self.graph.constant(f"{stem}_zeros", np.zeros(len(scales), levels.dtype)),
        ]
        return self._node("DequantizeLinear", inputs, f"{stem}_back", axis=0)

    def _image(self, image: _Image) -> str:
        key = "image"
        if key not in self.edges:
            planar = self._node("Transpose", [image.name], "image_levels", perm=image.perm)
            scale, zero = self._constants("image", (np.float32(1), image.zero))
            self.edges[key] = self._node("DequantizeLinear", [planar, scale, zero], "image_back")
        return self.edges[key]


class _Image:
    """The graph's uint8 input, where a tensor is that less the mean of each channel."""

    def __init__(self, name: str, perm: list[int], mean: NDArray[np.float32]) -> None:
        self.name, self.perm, self.mean = name, perm, mean
        self.zero = np.uint8(np.clip(np.rint(mean.mean()), 0, STEPS))

    @classmethod
    def behind(cls, graph: OnnxGraph, tensor: str) -> _Image | None:
        centred = graph.producer(tensor)
        if centred is None or centred.op_type != "Sub" or centred.input[1] not in graph.constants:
            return None
        planar = graph.producer(centred.input[0])
        cast = None if planar is None else graph.producer(planar.input[0])
        if planar is None or cast is None or (planar.op_type, cast.op_type) != ("Transpose", "Cast"):
            return None
        source = next((i for i in graph.inputs if i.name == cast.input[0]), None)
        if source is None or source.type.tensor_type.elem_type != TensorProto.UINT8:
            return None
        mean = graph.constants[centred.input[1]].reshape(-1)
        channels = 3 if mean.size == 1 else mean.size
        return cls(source.name, list(attribute(planar, "perm")), np.broadcast_to(mean, channels))


def _moves_only(node: onnx.NodeProto) -> bool:
    return node.op_type != "Resize" or attribute(node, "mode", b"nearest") == b"nearest"


def _weight_scales(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    peak = np.abs(weight).reshape(len(weight), -1).max(axis=1)
    return np.asarray(np.maximum(peak / WEIGHT_LEVELS, _MIN_SCALE), np.float32)
