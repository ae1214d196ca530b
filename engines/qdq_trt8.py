"""What TensorRT 8.6 wants otherwise of an INT8 ONNX: its weights in float, and one scale for a deconvolution.

From version 10 on TensorRT takes weights as INT8 constants ("Explicit Quantization" in its developer guide).
8.4 refuses them (NVIDIA/TensorRT issue 2163), later 8.x reads them; what all of 8 is made for is a float
weight, QuantizeLinear, DequantizeLinear. Its INT8 deconvolutions know no scales that differ between output
channels, and compute wrong values where they are given some (issues 1694 and 2380). The rewriting happens in
memory and keeps the arithmetic: each weight is rounded back to the very integer that it comes from.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge_lpr.errors import MissingExtraError

if TYPE_CHECKING:
    import onnx


def rewrite_for_trt8(data: bytes) -> bytes:
    """Rewrites an INT8 model as TensorRT 8.6 wants it.

    Args:
        data: The ONNX file.

    Returns:
        The model with float weights before QuantizeLinear, and with a Mul behind each transposed convolution
        whose weight had a scale per output channel; unchanged where it has no INT8 weight.

    Raises:
        MissingExtraError: The package onnx is not installed.
    """
    try:
        import onnx
    except ImportError as e:
        raise MissingExtraError("onnx", "tensorrt", "An INT8 engine of TensorRT 8.6") from e
    model: onnx.ModelProto = onnx.load_from_string(data)
    _Rewriting(model.graph).run()
    rewritten: bytes = model.SerializeToString()
    return rewritten


class _Rewriting:
    """One pass over a graph, in place."""

    def __init__(self, graph: onnx.GraphProto) -> None:
        from onnx import numpy_helper

        self._arrays = numpy_helper
        self._graph = graph
        self._stored = {item.name: item for item in graph.initializer}
        self._readers: dict[str, set[str]] = defaultdict(set)
        for node in graph.node:
            for name in node.input:
                self._readers[name].add(node.op_type)
        # What a transposed convolution's output is multiplied with, by its weight's name.
        self._factors: dict[str, NDArray[np.float32]] = {}

    def run(self) -> None:
        nodes: list[onnx.NodeProto] = []
        for node in self._graph.node:
            if node.op_type == "DequantizeLinear" and node.input[0] in self._stored:
                nodes.append(self._quantize(node))
            nodes.append(node)
            if node.op_type == "ConvTranspose" and node.input[1] in self._factors:
                nodes.append(self._rescale(node))
        del self._graph.node[:]
        self._graph.node.extend(nodes)
        used = {name for node in nodes for name in node.input}
        kept = [item for item in self._graph.initializer if item.name in used]
        del self._graph.initializer[:]
        self._graph.initializer.extend(kept)

    def _quantize(self, node: onnx.NodeProto) -> onnx.NodeProto:
        """Gives a DequantizeLinear of a constant a QuantizeLinear to read from."""
        from onnx import helper

        weight = node.output[0]
        levels, scale = self._value(node.input[0]), self._value(node.input[1])
        if scale.size > 1 and self._readers[weight] == {"ConvTranspose"}:
            self._factors[weight] = np.asarray(scale / scale.max(), np.float32)
            scale = scale.max()
            del node.attribute[:]
            node.input[1] = self._constant(f"{weight}_scale", scale)
            node.input[2] = self._constant(f"{weight}_zero_point", np.zeros((), np.int8))
        shape = [1] * levels.ndim
        if scale.size > 1:
            shape[_attribute(node, "axis")] = -1
        floats = self._constant(f"{weight}_float", levels * scale.reshape(shape))
        made = helper.make_node(
            "QuantizeLinear", [floats, *node.input[1:]], [f"{weight}_rounded"], f"{node.name}_quantize"
        )
        made.attribute.extend(node.attribute)
        node.input[0] = made.output[0]
        return made

    def _rescale(self, node: onnx.NodeProto) -> onnx.NodeProto:
        """Puts the factors behind a transposed convolution: W·x + b is f·(W/f·x + b/f)."""
        from onnx import helper

        factor = np.tile(self._factors[node.input[1]], _attribute(node, "group"))
        output = node.output[0]
        if len(node.input) > 2:
            node.input[2] = self._constant(f"{output}_bias", self._value(node.input[2]) / factor)
        node.output[0] = f"{output}_unscaled"
        factors = self._constant(f"{output}_factor", factor.reshape(1, -1, 1, 1))
        return helper.make_node("Mul", [node.output[0], factors], [output], f"{node.name}_rescale")

    def _value(self, name: str) -> NDArray[Any]:
        return np.asarray(self._arrays.to_array(self._stored[name]))

    def _constant(self, name: str, value: NDArray[Any]) -> str:
        kind = np.int8 if value.dtype == np.int8 else np.float32
        self._graph.initializer.append(self._arrays.from_array(np.array(value, kind, order="C"), name))
        return name


def _attribute(node: onnx.NodeProto, name: str) -> int:
    """Returns an attribute whose default is 1, as those of axis and group are."""
    return next((a.i for a in node.attribute if a.name == name), 1)
