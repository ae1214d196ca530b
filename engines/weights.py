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


def for_older(data: bytes) -> bytes:
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
        from onnx import numpy_helper
    except ImportError as e:
        raise MissingExtraError("onnx", "tensorrt", "An INT8 engine of TensorRT 8.6") from e
    model: onnx.ModelProto = onnx.load_from_string(data)
    graph = model.graph
    stored = {item.name: item for item in graph.initializer}
    readers: dict[str, list[onnx.NodeProto]] = defaultdict(list)
    for node in graph.node:
        for name in node.input:
            readers[name].append(node)

    def constant(name: str, value: NDArray[Any]) -> str:
        graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    nodes: list[onnx.NodeProto] = []
    factors: dict[str, NDArray[np.float32]] = {}
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in stored:
            levels = numpy_helper.to_array(stored[node.input[0]])
            scale = numpy_helper.to_array(stored[node.input[1]])
            if scale.size > 1 and all(
                reader.op_type == "ConvTranspose" for reader in readers[node.output[0]]
            ):
                common = scale.max()
                factors[node.output[0]] = np.asarray(scale / common, np.float32)
                scale = np.asarray(common, np.float32)
                del node.attribute[:]
                node.input[1] = constant(f"{node.output[0]}_scale", scale)
                node.input[2] = constant(f"{node.output[0]}_zero_point", np.zeros((), np.int8))
            quantize = onnx.helper.make_node(
                "QuantizeLinear",
                [constant(f"{node.output[0]}_float", _times(levels, scale, _axis(node))), *node.input[1:]],
                [f"{node.output[0]}_rounded"],
                f"{node.name}_quantize",
            )
            quantize.attribute.extend(node.attribute)
            nodes.append(quantize)
            node.input[0] = quantize.output[0]
        nodes.append(node)
        if node.op_type == "ConvTranspose" and node.input[1] in factors:
            # y = W·x + b is f·(W/f·x + b/f), with one factor f per output channel.
            factor = np.tile(factors[node.input[1]], _groups(node))
            if len(node.input) > 2:
                bias = numpy_helper.to_array(stored[node.input[2]])
                node.input[2] = constant(f"{node.output[0]}_bias", np.asarray(bias / factor, np.float32))
            output = node.output[0]
            node.output[0] = f"{output}_unscaled"
            shape = constant(f"{output}_factor", factor.reshape(1, -1, 1, 1))
            nodes.append(
                onnx.helper.make_node("Mul", [node.output[0], shape], [output], f"{node.name}_rescale")
            )
    del graph.node[:]
    graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    kept = [item for item in graph.initializer if item.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    rewritten: bytes = model.SerializeToString()
    return rewritten


def _times(levels: NDArray[Any], scale: NDArray[Any], axis: int) -> NDArray[np.float32]:
    shape = [1] * levels.ndim
    if scale.size > 1:
        shape[axis] = -1
    return np.asarray(levels * scale.reshape(shape), np.float32)


def _axis(node: onnx.NodeProto) -> int:
    return next((a.i for a in node.attribute if a.name == "axis"), 1)


def _groups(node: onnx.NodeProto) -> int:
    return next((a.i for a in node.attribute if a.name == "group"), 1)
