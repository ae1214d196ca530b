"""Rewrites of the float graph, exact in float, after which more of it can run in ONNX Runtime's INT8 kernels.

ONNX Runtime has no integer kernel for a transposed convolution. One whose kernel is its stride is a 1×1
convolution that makes all pixels of a block as channels, and a shuffle of these into space
(`DepthToSpace`). The shuffle moves behind the ReLUs and 1×1 convolutions that follow, whose weights then
stand once for each pixel of the block. So a head of two of them runs at the resolution of its input, and
shuffles of the last map end it.

A squeeze-excitation with a shortcut, x + x·g, is x·(1 + g): one pass over the map in place of two.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper

from edge_lpr.onnx_graph.fold import attribute
from edge_lpr.onnx_graph.graph import OnnxGraph

__all__ = ["lower"]

# Output channels up to which a 1×1 convolution behind a shuffle is written out for each pixel of a block.
_MAX_EXPANDED = 64


def lower(graph: OnnxGraph) -> None:
    """Rewrites a float graph in place; it returns what it did, but for float rounding."""
    _join_shortcuts(graph)
    for node in [n for n in graph.nodes if n.op_type == "ConvTranspose"]:
        _untranspose(graph, node)
    # The last first: shuffles in a row all end up behind the rest.
    for node in [n for n in graph.nodes if n.op_type == "DepthToSpace"][::-1]:
        while _moves_on(graph, node):
            pass


def _index(graph: OnnxGraph, node: onnx.NodeProto) -> int:
    return next(i for i, n in enumerate(graph.nodes) if n is node)


def _join_shortcuts(graph: OnnxGraph) -> None:
    gates = {name for name, shape in graph.shapes().items() if len(shape) == 4 and shape[2:] == (1, 1)}
    for total in [n for n in graph.nodes if n.op_type == "Add"]:
        for x, product in (tuple(total.input), tuple(total.input)[::-1]):
            maker = graph.producer(product)
            if maker is None or maker.op_type != "Mul" or x not in maker.input:
                continue
            gate = maker.input[1 - list(maker.input).index(x)]
            if gate not in gates or x in gates or graph.only_consumer(product) is not total:
                continue
            one = graph.constant("one", np.ones((1, 1, 1, 1), np.float32))
            more = graph.insert(_index(graph, maker), "Add", [gate, one], f"{gate}_more")
            gates.add(more)
            maker.input[:] = [x, more]
            maker.output[0] = total.output[0]
            graph.nodes.remove(total)
            break


def _untranspose(graph: OnnxGraph, node: onnx.NodeProto) -> None:
    """Writes a transposed convolution whose kernel is its stride as a 1×1 convolution and a shuffle."""
    weight = graph.constants.get(node.input[1])
    if weight is None or weight.ndim != 4:
        return
    taken, _, height, width = weight.shape
    known = {
        "strides": [height, width],
        "group": 1,
        "dilations": [1, 1],
        "pads": [0] * 4,
        "output_padding": [0, 0],
        "auto_pad": b"NOTSET",
    }
    plain = all(attribute(node, key, value) == value for key, value in known.items() if key != "strides")
    if height != width or not plain or attribute(node, "strides", [1, 1]) != known["strides"]:
        return
    block = height
    inputs = [
        node.input[0],
        graph.constant(f"{node.input[1]}_1x1", _columns(weight.transpose(1, 2, 3, 0).reshape(-1, taken))),
    ]
    if len(node.input) > 2:
        bias = np.repeat(graph.constants[node.input[2]], block * block)
        inputs.append(graph.constant(f"{node.input[2]}_1x1", bias))
    at = _index(graph, node)
    made = graph.insert(at, "Conv", inputs, f"{node.output[0]}_blocks", kernel_shape=[1, 1])
    shuffle = helper.make_node("DepthToSpace", [made], [node.output[0]], blocksize=block, mode="CRD")
    graph.nodes[at + 1] = shuffle


def _columns(matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.ascontiguousarray(matrix[:, :, None, None], np.float32)


def _moves_on(graph: OnnxGraph, shuffle: onnx.NodeProto) -> bool:
    """Puts a shuffle behind the one node that reads it, where that may be; tells whether it did."""
    reader = graph.only_consumer(shuffle.output[0])
    if reader is None:
        return False
    if reader.op_type == "Conv":
        pixels = attribute(shuffle, "blocksize") ** 2
        if not _is_pointwise(graph, reader, pixels):
            return False
        _expand(graph, reader, pixels)
    elif reader.op_type != "Relu":
        return False
    source, between, result = shuffle.input[0], shuffle.output[0], reader.output[0]
    reader.input[0], reader.output[0] = source, between
    shuffle.input[0], shuffle.output[0] = between, result
    graph.nodes.remove(shuffle)
    graph.nodes.insert(_index(graph, reader) + 1, shuffle)
    return True


def _is_pointwise(graph: OnnxGraph, node: onnx.NodeProto, pixels: int) -> bool:
    weight = graph.constants.get(node.input[1])
    if weight is None or weight.shape[2:] != (1, 1) or len(weight) * pixels > _MAX_EXPANDED:
        return False
    ones: Sequence[int] = [1, 1]
    return (
        attribute(node, "group", 1) == 1
        and attribute(node, "strides", ones) == ones
        and not any(attribute(node, "pads", [0]))
        and attribute(node, "auto_pad", b"NOTSET") == b"NOTSET"
    )


def _expand(graph: OnnxGraph, node: onnx.NodeProto, pixels: int) -> None:
    """Writes a 1×1 convolution's weights for each pixel of a block, whose channels are c·pixels + pixel."""
    weight = graph.constants[node.input[1]][:, :, 0, 0]
    expanded = np.asarray(np.kron(weight, np.eye(pixels)), np.float32)
    node.input[1] = graph.constant(f"{node.input[1]}_blocks", _columns(expanded))
    if len(node.input) > 2:
        bias = np.repeat(graph.constants[node.input[2]], pixels)
        node.input[2] = graph.constant(f"{node.input[2]}_blocks", bias)
