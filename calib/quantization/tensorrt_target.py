"""TensorRT's INT8: what its optimizer needs to see, so that INT8 really saves bytes and kernels.

On a GPU these networks are bound by memory. What counts is that an activation is written once, in INT8, and
that what follows a convolution runs in the convolution's kernel. The rules, from NVIDIA's TensorRT developer
guide ("Explicit quantization", "Q/DQ layer placement") and what its users found:

- A pair stands on what a convolution or matrix product takes *in*: what it returns runs on in float through
  bias and activation, in the same kernel, up to the next Q, which goes into that kernel too.
- A pair stands on the other side of a sum that a quantized convolution goes into. A kernel that adds a float
  tensor has to write float: its sum would be written in float and read again to be quantized.
- None stands behind a product with a constant: that is a kernel of its own between two layers. Where one
  layer reads the product, its factors go into the layer's weights; else the layer stays in float.
- None stands on a matrix product whose inner or outer size is below 16: INT8's tensor cores work on 16 values
  and more, and fewer are padded, at the cost of conversions.
- None stands on the convolutions of a squeeze-excitation: of one pixel there is nothing to save, and each
  pair is a kernel.
- None stands behind a Concat, but on each of its inputs, with one scale for all: so the parts are written
  into their place in INT8, in place of a float tensor that a kernel of its own quantizes.
- None stands on a transposed convolution: TensorRT's INT8 ones are few, slower than FP16's for few channels,
  and 8.6's compute wrong values where scales differ between channels (NVIDIA/TensorRT issues 1694, 2380).

None of this has run on a GPU: the rules are checked in the graphs, and their effect is estimated
(`edge_lpr.onnx_graph.traffic`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import onnx

from edge_lpr.calib.quantization.layers import (
    CONV,
    CONV_TRANSPOSE,
    MATMUL,
    QuantLayer,
    find_layers,
    multiply_adds,
    watch,
)
from edge_lpr.calib.quantization.qdq import QdqPairs, quantize_weight
from edge_lpr.onnx_graph.graph import OnnxGraph

__all__ = ["MIN_MATMUL", "TensorRTTarget", "fold_products"]

MIN_MATMUL = 16
"""Least inner and outer size of a matrix product in INT8."""


class TensorRTTarget:
    """TensorRT's rules; see `Target`."""

    name = "tensorrt"
    float_bytes = 2
    keeps_products = False
    cost_unit = "multiply-adds"

    def refused(self, graph: OnnxGraph, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, str]:
        """See `Target.refused`."""
        nodes = {node.name: node for node in graph.nodes}
        reasons = {
            layer.name: _reason(graph, layer, nodes[layer.name], shapes) for layer in find_layers(graph)
        }
        return {name: why for name, why in reasons.items() if why}

    def float_costs(self, graph: OnnxGraph, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
        """See `Target.float_costs`."""
        return multiply_adds(graph, shapes)

    def tensors(self, graph: OnnxGraph, layers: Sequence[QuantLayer]) -> dict[str, int | None]:
        """See `Target.tensors`."""
        axes = watch(layers)
        for add, i in _residuals(graph, layers):
            axes.setdefault(add.input[i], 1)
        return axes

    def insert(self, graph: OnnxGraph, layers: Sequence[QuantLayer], ranges: Mapping[str, float]) -> None:
        """See `Target.insert`."""
        pairs = QdqPairs(graph)
        nodes = {node.name: node for node in graph.nodes}
        residuals = list(_residuals(graph, layers))
        concats = {name: concat for la in layers for name in la.inputs if (concat := _concat(graph, name))}
        # First, so that whoever else reads a part of a Concat reads it by that scale: in one INT8 copy.
        for name, concat in concats.items():
            concat.input[:] = [pairs.behind(part, ranges[name]) for part in concat.input]
        for layer in layers:
            for i, name in enumerate(layer.inputs):
                if name not in concats:
                    nodes[layer.name].input[i] = pairs.behind(name, ranges[name])
            quantize_weight(graph, layer)
        for add, i in residuals:
            add.input[i] = pairs.behind(add.input[i], ranges[add.input[i]])


def fold_products(graph: OnnxGraph) -> None:
    """Moves the factors of a product with a constant into the weights of the one layer that reads it."""
    nodes = {node.name: node for node in graph.nodes}
    for layer in find_layers(graph):
        product = graph.producer(layer.inputs[0])
        if layer.weight is None or product is None or graph.only_consumer(layer.inputs[0]) is None:
            continue
        source = _source(graph, product)
        if source is None:
            continue
        factor = next(graph.constants[name] for name in product.input if name != source)
        weight = graph.constants[layer.weight]
        channels = weight.shape[1] * layer.groups if layer.op_type == CONV else weight.shape[0]
        sides = (1, 1, 1, 1, *factor.shape)[-4:]  # of a convolution, which has N, C, H and W
        if factor.size not in (1, channels) or factor.size not in (1, sides[layer.channel_axis]):
            continue
        node = nodes[layer.name]
        node.input[0] = source
        scales = np.broadcast_to(factor.reshape(-1), (channels,)).astype(np.float32)
        node.input[1] = graph.constant(f"{layer.weight}_scaled", layer.scale_inputs(weight, scales))
    graph.remove_dead()


def _source(graph: OnnxGraph, node: onnx.NodeProto | None) -> str | None:
    """The activation that a product with a constant multiplies; None where a node is no such product."""
    if node is None or node.op_type != "Mul":
        return None
    varying = [name for name in node.input if name not in graph.constants]
    return varying[0] if len(varying) == 1 else None


def _reason(
    graph: OnnxGraph, layer: QuantLayer, node: onnx.NodeProto, shapes: Mapping[str, tuple[int, ...]]
) -> str:
    taken, given = shapes[layer.inputs[0]], shapes[node.output[0]]
    if layer.op_type == CONV_TRANSPOSE:
        return "a transposed convolution, which TensorRT has no good INT8 for"
    if layer.op_type == CONV and taken[2:] == (1, 1):
        return "a convolution of one pixel: INT8 saves nothing there"
    if layer.op_type == MATMUL and min(taken[-1], given[-1]) < MIN_MATMUL:
        return (
            f"a matrix product of {taken[-1]} by {given[-1]}: INT8's tensor cores take {MIN_MATMUL} and more"
        )
    if any(_source(graph, graph.producer(name)) for name in layer.inputs):
        return "behind a product with a constant, which would be a kernel of its own"
    return ""


def _concat(graph: OnnxGraph, name: str) -> onnx.NodeProto | None:
    maker = graph.producer(name)
    return maker if maker is not None and maker.op_type == "Concat" else None


def _residuals(graph: OnnxGraph, layers: Sequence[QuantLayer]) -> Iterator[tuple[onnx.NodeProto, int]]:
    """The sums that a quantized convolution goes into, and which of their inputs is the other side."""
    convs = {layer.name for layer in layers if layer.op_type == CONV}
    places = {name: i for i, node in enumerate(graph.nodes) for name in node.output}
    for add in graph.nodes:
        if add.op_type != "Add" or any(name in graph.constants for name in add.input):
            continue
        inside = [
            i
            for i, name in enumerate(add.input)
            if (maker := graph.producer(name)) is not None
            and maker.name in convs
            and graph.only_consumer(name) is add
        ]
        if inside:
            # Of two convolutions, the sum goes into the kernel of the one that runs last.
            last = max(inside, key=lambda i: places[add.input[i]])
            yield add, 1 - last
