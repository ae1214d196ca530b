"""Passes that recognise a composed function and write it as the operator that runtimes have a kernel for."""

from __future__ import annotations

import numpy as np
import onnx

from edge_lpr.onnx_graph.fold import attribute
from edge_lpr.onnx_graph.graph import OnnxGraph

__all__ = ["fuse_hard_swish", "fuse_layer_norms"]

_SIXTH = 1.0 / 6.0


def fuse_hard_swish(graph: OnnxGraph) -> None:
    """Writes hard-swish, in whichever form it comes, as x·HardSigmoid(x).

    Older converters write Add, Clip, Mul and Div, that is x·clip(x + 3, 0, 6)/6; newer ones the operator
    HardSwish. HardSigmoid with alpha 1/6 and beta 1/2 is the same function in a form that every runtime has
    kernels for: ONNX Runtime on a CPU takes the operator HardSwish apart, and is no faster for it.
    """
    for node in list(graph.nodes):
        if node.op_type == "HardSwish":
            _write_gate(graph, node, node.input[0])
    for div in list(graph.nodes):
        if div.op_type != "Div" or graph.scalar(div.input[1]) != 6.0:
            continue
        product = graph.producer(div.input[0])
        if product is None or product.op_type != "Mul" or graph.only_consumer(product.output[0]) is None:
            continue
        source = _hard_swish_source(graph, product)
        if source is None:
            continue
        _write_gate(graph, div, source)
    graph.remove_dead()


def _write_gate(graph: OnnxGraph, node: onnx.NodeProto, source: str) -> None:
    position = next(i for i, n in enumerate(graph.nodes) if n is node)
    gate = graph.insert(position, "HardSigmoid", [source], f"{source}_gate", alpha=_SIXTH, beta=0.5)
    node.op_type = "Mul"
    del node.input[:]
    node.input.extend([source, gate])


def _hard_swish_source(graph: OnnxGraph, product: onnx.NodeProto) -> str | None:
    for source, gate in (tuple(product.input), tuple(product.input)[::-1]):
        clip = graph.producer(gate)
        if clip is None or clip.op_type != "Clip" or len(clip.input) != 3:
            continue
        if (graph.scalar(clip.input[1]), graph.scalar(clip.input[2])) != (0.0, 6.0):
            continue
        add = graph.producer(clip.input[0])
        if add is None or add.op_type != "Add" or source not in add.input:
            continue
        if any(graph.scalar(n) == 3.0 for n in add.input):
            return str(source)
    return None


def fuse_layer_norms(graph: OnnxGraph) -> None:
    """Writes (x - mean)/sqrt(variance + eps)·scale + shift over the last axis as LayerNormalization."""
    shapes = graph.shapes()
    for div in list(graph.nodes):
        if div.op_type != "Div":
            continue
        centred, root = graph.producer(div.input[0]), graph.producer(div.input[1])
        if centred is None or root is None or centred.op_type != "Sub" or root.op_type != "Sqrt":
            continue
        source = centred.input[0]
        epsilon = _variance_epsilon(graph, root.input[0], centred)
        rank = len(shapes.get(source, ()))
        if epsilon is None or rank == 0 or not _is_last_axis_mean(graph, centred.input[1], source, rank):
            continue
        scale = graph.only_consumer(div.output[0])
        shift = graph.only_consumer(scale.output[0]) if scale is not None else None
        if scale is None or shift is None or scale.op_type != "Mul" or shift.op_type != "Add":
            continue
        weight = next((n for n in scale.input if n in graph.constants), None)
        bias = next((n for n in shift.input if n in graph.constants), None)
        if weight is None or bias is None or graph.constants[weight].ndim != 1:
            continue
        shift.op_type = "LayerNormalization"
        del shift.input[:], shift.attribute[:]
        shift.input.extend([source, weight, bias])
        shift.attribute.extend(
            [onnx.helper.make_attribute("axis", -1), onnx.helper.make_attribute("epsilon", epsilon)]
        )
    graph.remove_dead()


def _is_last_axis_mean(graph: OnnxGraph, name: str, source: str, rank: int) -> bool:
    mean = graph.producer(name)
    return (
        mean is not None
        and mean.op_type == "ReduceMean"
        and mean.input[0] == source
        and list(attribute(mean, "axes", [])) in ([-1], [rank - 1])
        and attribute(mean, "keepdims", 1) == 1
    )


def _variance_epsilon(graph: OnnxGraph, name: str, centred: onnx.NodeProto) -> float | None:
    add = graph.producer(name)
    if add is None or add.op_type != "Add":
        return None
    epsilon = next((graph.scalar(n) for n in add.input if n in graph.constants), None)
    mean = graph.producer(next((n for n in add.input if n not in graph.constants), ""))
    if mean is None or mean.op_type != "ReduceMean":
        return None
    square = graph.producer(mean.input[0])
    if square is None or square.input[0] != centred.output[0]:
        return None
    squared = square.op_type == "Mul" and square.input[1] == centred.output[0]
    power = square.op_type == "Pow" and graph.scalar(square.input[1]) == 2.0
    return float(np.float32(epsilon)) if epsilon is not None and (squared or power) else None
