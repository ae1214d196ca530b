"""A pass that pools before a linear convolution of one pixel in place of behind it."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray

from edge_lpr.onnx_graph.fold import attribute
from edge_lpr.onnx_graph.graph import OnnxGraph

__all__ = ["pool_first"]

Doubles = NDArray[np.float64]


def pool_first(graph: OnnxGraph) -> None:
    """Pools what a 1×1 convolution reads in place of what it makes, where that is less, in place.

    The mean over all pixels and a convolution of one pixel are both linear: mean(W·x + b) is W·mean(x) + b.
    Squeeze-excitation of a feature pyramid pools 96 channels that a convolution has just made of 16: six
    times the bytes. W and b go into the convolution behind the pooling, in float64, where that alone reads
    it; else a convolution of the pooled pixel is put in.
    """
    shapes = graph.shapes()
    for pool in [node for node in graph.nodes if node.op_type == "GlobalAveragePool"]:
        conv = graph.producer(pool.input[0])
        if conv is None or not _is_linear_pixelwise(graph, conv, shapes):
            continue
        weight, bias = _kernel(graph, conv)
        if weight.shape[1] >= weight.shape[0]:
            continue
        pool.input[0] = conv.input[0]
        reader = graph.only_consumer(pool.output[0])
        if reader is not None and reader.op_type == "Conv" and _is_linear_pixelwise(graph, reader, shapes):
            _fold_into(graph, reader, weight, bias)
        else:
            _insert(graph, pool, conv)
    graph.remove_dead()


def _is_linear_pixelwise(
    graph: OnnxGraph, node: onnx.NodeProto, shapes: dict[str, tuple[int | None, ...]]
) -> bool:
    """Tells whether a node is a convolution of one pixel, of all channels, whose weights are constants."""
    if node.op_type != "Conv" or not all(name in graph.constants for name in node.input[1:]):
        return False
    return (
        graph.constants[node.input[1]].shape[2:] == (1, 1)
        and len(shapes.get(node.input[0], ())) == 4
        and int(attribute(node, "group", 1)) == 1
        and set(attribute(node, "strides", (1, 1))) == {1}
        and not any(attribute(node, "pads", (0, 0, 0, 0)))
        and attribute(node, "auto_pad", b"NOTSET") == b"NOTSET"
    )


def _kernel(graph: OnnxGraph, conv: onnx.NodeProto) -> tuple[Doubles, Doubles]:
    weight = graph.constants[conv.input[1]].astype(np.float64)[:, :, 0, 0]
    bias = graph.constants[conv.input[2]].astype(np.float64) if len(conv.input) > 2 else np.zeros(len(weight))
    return weight, bias


def _fold_into(graph: OnnxGraph, reader: onnx.NodeProto, weight: Doubles, bias: Doubles) -> None:
    outer, shift = _kernel(graph, reader)
    stem = reader.input[1]
    folded = (outer @ weight)[:, :, None, None].astype(np.float32)
    reader.input[:] = [
        reader.input[0],
        graph.constant(f"{stem}_pooled", folded),
        graph.constant(f"{stem}_pooled_bias", (outer @ bias + shift).astype(np.float32)),
    ]


def _insert(graph: OnnxGraph, pool: onnx.NodeProto, conv: onnx.NodeProto) -> None:
    """Puts the convolution behind the pooling, which keeps the name of its output for its readers."""
    pooled = graph.fresh(f"{pool.output[0]}_pooled")
    position = next(i for i, node in enumerate(graph.nodes) if node is pool) + 1
    moved = onnx.NodeProto.FromString(conv.SerializeToString())
    moved.input[0] = pooled
    moved.output[0], pool.output[0] = pool.output[0], pooled
    graph.nodes.insert(position, moved)
