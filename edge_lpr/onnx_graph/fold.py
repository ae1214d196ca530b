"""Passes that take out what need not be computed at run time: constants, no-ops, batch normalisation."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper
from onnx.reference import ReferenceEvaluator

from edge_lpr.onnx_graph.graph import OPSET, OnnxGraph

__all__ = [
    "attribute",
    "fold_affine",
    "fold_batch_norms",
    "fold_constants",
    "fold_copied_sizes",
    "remove_no_ops",
]

_MAX_FOLDED_ELEMENTS = 1 << 24  # a fold must not blow a small graph up into a large file
_NOT_FOLDED = frozenset(
    {"RandomNormal", "RandomUniform", "If", "Loop", "Scan", "QuantizeLinear", "DequantizeLinear"}
)


def attribute(node: onnx.NodeProto, name: str, default: Any = None) -> Any:  # noqa: ANN401
    """Returns a node's attribute as a Python value, or `default` where it is not set."""
    return next((helper.get_attribute_value(a) for a in node.attribute if a.name == name), default)


def fold_constants(graph: OnnxGraph) -> None:
    """Computes every node whose inputs are all constant, and shape reads whose answer is known beforehand."""
    graph.remove_dead()
    shapes = graph.shapes()
    kept: list[onnx.NodeProto] = []
    for node in graph.nodes:
        values = None if node.op_type in _NOT_FOLDED else _known_shape(graph, node, shapes)
        if values is None and node.op_type not in _NOT_FOLDED:
            values = _evaluated(graph, node)
        if values is None or any(graph.is_output(name) for name in node.output):
            kept.append(node)
        else:
            graph.constants.update(zip(node.output, values, strict=True))
    graph.nodes = kept
    graph.remove_dead()


def _evaluated(graph: OnnxGraph, node: onnx.NodeProto) -> list[NDArray[Any]] | None:
    inputs = [n for n in node.input if n]
    if not inputs or not all(n in graph.constants for n in inputs):
        return None
    infos = [
        helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(graph.constants[n].dtype), None)
        for n in dict.fromkeys(inputs)
    ]
    outputs = [helper.make_empty_tensor_value_info(n) for n in node.output]
    model = helper.make_model(
        helper.make_graph([node], "fold", infos, outputs), opset_imports=[helper.make_opsetid("", OPSET)]
    )
    values = ReferenceEvaluator(model).run(None, {n: graph.constants[n] for n in inputs})
    arrays = [np.asarray(v) for v in values]
    return arrays if sum(a.size for a in arrays) <= _MAX_FOLDED_ELEMENTS else None


def _known_shape(
    graph: OnnxGraph, node: onnx.NodeProto, shapes: dict[str, tuple[int | None, ...]]
) -> list[NDArray[Any]] | None:
    # Shape → Slice/Gather of dimensions that are fixed although others of the tensor are free.
    source = graph.producer(node.input[0]) if node.input else None
    if node.op_type == "Shape":
        dims = shapes.get(node.input[0])
        return None if dims is None or None in dims else [np.asarray(dims, np.int64)]
    if node.op_type not in ("Slice", "Gather") or source is None or source.op_type != "Shape":
        return None
    dims = shapes.get(source.input[0])
    if dims is None or source.attribute or not all(n in graph.constants for n in node.input[1:] if n):
        return None
    # An index array goes through the very operator, so what comes out says which dimensions are read.
    positions = _evaluated_with(graph, node, np.arange(len(dims), dtype=np.int64))
    picked = [dims[int(i)] for i in positions.reshape(-1)]
    if any(d is None for d in picked):
        return None
    return [np.asarray(picked, np.int64).reshape(positions.shape)]


def fold_copied_sizes(graph: OnnxGraph) -> None:
    """Writes the target shapes that a graph computes from its tensors' shapes as constants.

    In a Reshape's shape, 0 stands for the input's own size at that place, and -1 for the one size that is
    left; with these two, most computed shapes need no computing.
    """
    shapes = graph.shapes()
    for node in graph.nodes:
        concat = graph.producer(node.input[1]) if node.op_type == "Reshape" else None
        if concat is None or concat.op_type != "Concat" or attribute(node, "allowzero", 0):
            continue
        sizes: list[int] = []
        for name in concat.input:
            value = graph.constants.get(name)
            copied = _leading_sizes(graph, name, node.input[0], len(sizes))
            if value is not None:
                sizes += value.reshape(-1).tolist()
            elif copied is not None:
                sizes += [0] * copied
            elif shapes.get(name) == (1,) and -1 not in sizes:
                sizes.append(-1)
            else:
                break
        else:
            if sizes.count(-1) <= 1:
                node.input[1] = graph.constant("sizes", np.asarray(sizes, np.int64))
    graph.remove_dead()


def _leading_sizes(graph: OnnxGraph, name: str, source: str, first: int) -> int | None:
    # How many sizes of `source`, from `first` on, the tensor `name` holds; None where it is something else.
    piece = graph.producer(name)
    shape = graph.producer(piece.input[0]) if piece is not None else None
    if piece is None or piece.op_type not in ("Slice", "Gather") or shape is None or shape.op_type != "Shape":
        return None
    if shape.input[0] != source or shape.attribute or not all(n in graph.constants for n in piece.input[1:]):
        return None
    positions = _evaluated_with(graph, piece, np.arange(8, dtype=np.int64)).reshape(-1).tolist()
    return len(positions) if positions == list(range(first, first + len(positions))) else None


def _evaluated_with(graph: OnnxGraph, node: onnx.NodeProto, value: NDArray[Any]) -> NDArray[Any]:
    name = node.input[0]
    graph.constants[name] = value
    try:
        result = _evaluated(graph, node)
    finally:
        del graph.constants[name]
    assert result is not None
    return result[0]


def remove_no_ops(graph: OnnxGraph) -> None:
    """Takes out Identity, Dropout, casts to the type that is there already, × 1 and + 0."""
    fixed = {i.name for i in graph.inputs} | set(graph.constants)
    for node in list(graph.nodes):
        if not _is_no_op(graph, node):
            continue
        data = next(n for n in node.input if n not in graph.constants)
        output = node.output[0]
        if not graph.is_output(output):
            graph.reroute(output, data)
        elif data in fixed or graph.is_output(data):
            continue
        else:
            # A graph output keeps its name: what makes the data takes it over.
            graph.rename(data, output)
        graph.nodes = [n for n in graph.nodes if n is not node]
    graph.remove_dead()


def _is_no_op(graph: OnnxGraph, node: onnx.NodeProto) -> bool:
    if node.op_type in ("Identity", "Dropout"):
        return node.input[0] not in graph.constants
    if node.op_type == "Cast":
        # Paddle casts the attention's query from float to float; an input's or a shape's type is another
        # matter.
        source = graph.producer(node.input[0])
        floats = source is not None and source.op_type in (
            "MatMul",
            "Squeeze",
            "Softmax",
            "Add",
            "Mul",
            "Slice",
            "Gather",
        )
        shape_like = source is not None and _reads_shape(graph, source)
        return floats and not shape_like and attribute(node, "to") == onnx.TensorProto.FLOAT
    if node.op_type in ("Mul", "Add"):
        neutral = 1.0 if node.op_type == "Mul" else 0.0
        for name in node.input:
            value = graph.constants.get(name)
            if (
                value is not None
                and value.size == 1
                and value.ndim <= 1
                and float(value.reshape(-1)[0]) == neutral
            ):
                return any(n not in graph.constants for n in node.input)
    return False


def _reads_shape(graph: OnnxGraph, node: onnx.NodeProto | None) -> bool:
    while node is not None:
        if node.op_type in ("Shape", "ArgMax", "NonZero"):
            return True
        node = graph.producer(node.input[0]) if node.input else None
    return False


def fold_affine(graph: OnnxGraph) -> None:
    """Moves factors and shifts after a (transposed) convolution into its weight and bias, in float64.

    They come as a Mul or Add with one constant, or with one for each channel: biases that Paddle keeps apart,
    and the learnable affine blocks of PP-LCNetV3.
    """
    for conv in list(graph.nodes):
        if conv.op_type not in ("Conv", "ConvTranspose") or conv.input[1] not in graph.constants:
            continue
        while _absorb(graph, conv):
            pass
    graph.remove_dead()


def _absorb(graph: OnnxGraph, conv: onnx.NodeProto) -> bool:
    node = graph.only_consumer(conv.output[0])
    if (
        node is None
        or node.op_type not in ("Mul", "Add")
        or not all(n in graph.constants for n in conv.input[2:])
    ):
        return False
    channels = _channels(conv, graph.constants[conv.input[1]])
    value = graph.constants.get(next((n for n in node.input if n != conv.output[0]), ""))
    if value is None or value.ndim > 4 or value.shape not in ((), (1,), (1, 1, 1, 1), (1, channels, 1, 1)):
        return False
    each = np.broadcast_to(value.astype(np.float64).reshape(-1), (channels,))
    bias = graph.constants[conv.input[2]].astype(np.float64) if len(conv.input) > 2 else np.zeros(channels)
    stem = conv.input[1].removesuffix("_scaled")
    if node.op_type == "Mul":
        weight = _scaled(conv, graph.constants[conv.input[1]].astype(np.float64), each)
        conv.input[1] = graph.constant(f"{stem}_scaled", weight.astype(np.float32))
        bias = bias * each
    else:
        bias = bias + each
    del conv.input[2:]
    if bias.any():
        conv.input.append(graph.constant(f"{stem}_bias", bias.astype(np.float32)))
    _replace(graph, node, conv)
    return True


def fold_batch_norms(graph: OnnxGraph) -> None:
    """Folds every BatchNormalization that follows a (transposed) convolution into its weights, in float64."""
    for conv in list(graph.nodes):
        if conv.op_type not in ("Conv", "ConvTranspose") or conv.input[1] not in graph.constants:
            continue
        norm = graph.only_consumer(conv.output[0])
        if norm is None or norm.op_type != "BatchNormalization" or norm.input[0] != conv.output[0]:
            continue
        if not all(n in graph.constants for n in (*norm.input[1:], *conv.input[2:])):
            continue
        scale, shift, mean, variance = (graph.constants[n].astype(np.float64) for n in norm.input[1:])
        factor = scale / np.sqrt(variance + attribute(norm, "epsilon", 1e-5))
        weight = graph.constants[conv.input[1]].astype(np.float64)
        bias = (
            graph.constants[conv.input[2]].astype(np.float64) if len(conv.input) > 2 else np.zeros_like(mean)
        )
        stem = conv.input[1]
        conv.input[1] = graph.constant(f"{stem}_folded", _scaled(conv, weight, factor).astype(np.float32))
        folded = graph.constant(f"{stem}_folded_bias", ((bias - mean) * factor + shift).astype(np.float32))
        del conv.input[2:]
        conv.input.append(folded)
        _replace(graph, norm, conv)
    graph.remove_dead()


def _channels(conv: onnx.NodeProto, weight: NDArray[Any]) -> int:
    if conv.op_type == "Conv":
        return int(weight.shape[0])
    return int(weight.shape[1]) * int(attribute(conv, "group", 1))


def _scaled(conv: onnx.NodeProto, weight: NDArray[Any], factor: NDArray[Any]) -> NDArray[Any]:
    if conv.op_type == "Conv":
        return np.asarray(weight * factor.reshape(-1, 1, 1, 1))
    # A transposed convolution keeps its weight as (in, out / groups, kh, kw), the groups along `in`.
    groups = int(attribute(conv, "group", 1))
    split = weight.reshape(groups, weight.shape[0] // groups, *weight.shape[1:])
    return np.asarray(split * factor.reshape(groups, 1, -1, 1, 1)).reshape(weight.shape)


def _replace(graph: OnnxGraph, gone: onnx.NodeProto, conv: onnx.NodeProto) -> None:
    # The convolution takes over the name of what it absorbed, so that graph outputs keep theirs.
    conv.output[0] = gone.output[0]
    graph.nodes = [n for n in graph.nodes if n is not gone]
