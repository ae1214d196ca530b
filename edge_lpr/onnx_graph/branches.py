"""A pass that makes one convolution of several that are added up, as re-parameterised layers are trained."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edge_lpr.onnx_graph.fold import attribute
from edge_lpr.onnx_graph.graph import OnnxGraph

__all__ = ["fuse_branches"]

Doubles = NDArray[np.float64]


def fuse_branches(graph: OnnxGraph) -> None:
    """Makes one convolution of convolutions and norms of one tensor that are added up, in float64.

    Smaller kernels go to the middle of the largest; a norm of the tensor itself is a kernel of one pixel.
    The convolutions' own norms have to be folded before.
    """
    for add in reversed(list(graph.nodes)):
        if not any(add is n for n in graph.nodes):
            continue
        parts = _parts(graph, add) if add.op_type == "Add" else None
        if parts is not None:
            _fuse(graph, add, parts)
    graph.remove_dead()


def _parts(graph: OnnxGraph, add: onnx.NodeProto) -> list[onnx.NodeProto] | None:
    """Returns the convolutions and norms that a tree of Adds adds up; None where it is another sum."""
    found: list[onnx.NodeProto] = []
    waiting = list(add.input)
    while waiting:
        name = waiting.pop()
        node = graph.producer(name)
        if node is None or graph.only_consumer(name) is None:
            return None
        if node.op_type == "Add":
            waiting += node.input
        elif _fusable(graph, node):
            found.append(node)
        else:
            return None
    convs = [n for n in found if n.op_type == "Conv"]
    if not convs or len({n.input[0] for n in found}) != 1:
        return None
    rules = {(attribute(c, "group", 1), tuple(attribute(c, "strides", (1, 1)))) for c in convs}
    outs = {graph.constants[n.input[1]].shape[0] for n in found}
    if len(rules) != 1 or len(outs) != 1:
        return None
    ((_, strides),) = rules
    return None if len(convs) < len(found) and strides != (1, 1) else found


def _fusable(graph: OnnxGraph, node: onnx.NodeProto) -> bool:
    if not all(n in graph.constants for n in node.input[1:]):
        return False
    if node.op_type == "BatchNormalization":
        return True
    if node.op_type != "Conv":
        return False
    height, width = graph.constants[node.input[1]].shape[2:]
    middle = [height // 2, width // 2] * 2
    return (
        height % 2 == width % 2 == 1
        and list(attribute(node, "pads", [0, 0, 0, 0])) == middle
        and set(attribute(node, "dilations", (1, 1))) == {1}
        and attribute(node, "auto_pad", b"NOTSET") == b"NOTSET"
    )


def _fuse(graph: OnnxGraph, add: onnx.NodeProto, parts: list[onnx.NodeProto]) -> None:
    convs = [n for n in parts if n.op_type == "Conv"]
    shapes = [graph.constants[c.input[1]].shape for c in convs]
    out, inside = shapes[0][:2]
    height, width = (max(shape[axis] for shape in shapes) for axis in (2, 3))
    weight = np.zeros((out, inside, height, width))
    bias = np.zeros(out)
    for node in parts:
        kernel, shift = _kernel(graph, node, inside)
        top, left = (height - kernel.shape[2]) // 2, (width - kernel.shape[3]) // 2
        weight[:, :, top : top + kernel.shape[2], left : left + kernel.shape[3]] += kernel
        bias += shift
    stem = convs[0].input[1]
    names = [
        graph.constant(f"{stem}_{what}", value.astype(np.float32))
        for what, value in (("fused", weight), ("fused_bias", bias))
    ]
    add.op_type = "Conv"
    add.input[:] = [parts[0].input[0], *names]
    attributes: dict[str, Any] = {
        "group": attribute(convs[0], "group", 1),
        "strides": list(attribute(convs[0], "strides", (1, 1))),
        "kernel_shape": [height, width],
        "pads": [height // 2, width // 2] * 2,
    }
    del add.attribute[:]
    add.attribute.extend(onnx.helper.make_attribute(name, value) for name, value in attributes.items())
    graph.remove_dead()


def _kernel(graph: OnnxGraph, node: onnx.NodeProto, inside: int) -> tuple[Doubles, Doubles]:
    values = [graph.constants[n].astype(np.float64) for n in node.input[1:]]
    if node.op_type == "Conv":
        return values[0], values[1] if len(values) > 1 else np.zeros(len(values[0]))
    factor, shift, mean, variance = values
    scale = factor / np.sqrt(variance + attribute(node, "epsilon", 1e-5))
    kernel = np.zeros((len(scale), inside, 1, 1))
    place = np.arange(len(scale))
    kernel[place, place % inside, 0, 0] = scale
    return kernel, shift - mean * scale
