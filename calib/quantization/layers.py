"""The layers of a graph that INT8 pays for: convolutions and matrix products."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_lpr.calib.quantization.taps import TappedModel
from edge_lpr.onnx_graph.fold import attribute
from edge_lpr.onnx_graph.graph import OnnxGraph
from edge_lpr.types import Batch

CONV = "Conv"
CONV_TRANSPOSE = "ConvTranspose"
MATMUL = "MatMul"
LAYER_TYPES = (CONV, CONV_TRANSPOSE, MATMUL)
HEAVY_TYPES = (*LAYER_TYPES, "Gemm")


@dataclass(frozen=True)
class QuantLayer:
    """One convolution or matrix product.

    Attributes:
        name: The node's name.
        op_type: "Conv", "ConvTranspose" or "MatMul".
        inputs: The tensors that become INT8 as they run: one, or two for a product of two activations.
        weight: The constant that is multiplied with; None for a product of two activations.
        groups: Groups of a convolution; 1 for the others.
    """

    name: str
    op_type: str
    inputs: tuple[str, ...]
    weight: str | None
    groups: int = 1

    @property
    def output_axis(self) -> int:
        """The weight's axis along which INT8 scales differ: output channels (of one group, if transposed)."""
        return 0 if self.op_type == CONV else 1

    @property
    def channel_axis(self) -> int:
        """The input's channel axis."""
        return -1 if self.op_type == MATMUL else 1

    def by_input(self, weight: NDArray[Any]) -> NDArray[Any]:
        """Views a weight as input channel × the rest, for all groups.

        Args:
            weight: The layer's constant.

        Returns:
            An array whose first axis is the input channel.
        """
        if self.op_type != CONV:
            return weight.reshape(weight.shape[0], -1)
        out, within = weight.shape[:2]
        grouped = weight.reshape(self.groups, out // self.groups, within, -1)
        by_input: NDArray[Any] = grouped.transpose(0, 2, 1, 3).reshape(self.groups * within, -1)
        return by_input

    def scale_inputs(self, weight: NDArray[Any], scale: NDArray[Any]) -> NDArray[Any]:
        """Multiplies a weight by one factor per input channel."""
        if self.op_type != CONV:
            factor = scale.reshape(-1, *[1] * (weight.ndim - 1))
            return np.asarray(weight * factor, np.float32)
        out, within = weight.shape[:2]
        grouped = weight.reshape(self.groups, out // self.groups, within, *weight.shape[2:])
        factor = scale.reshape(self.groups, 1, within, *[1] * (weight.ndim - 2))
        return np.asarray((grouped * factor).reshape(weight.shape), np.float32)


def find_layers(graph: OnnxGraph) -> list[QuantLayer]:
    """Lists the layers of a graph in execution order; products with a constant on the left are left out."""
    layers = []
    for node in graph.nodes:
        if node.op_type not in LAYER_TYPES:
            continue
        left, right = node.input[0], node.input[1]
        if left in graph.constants:
            continue
        if right in graph.constants:
            if node.op_type == MATMUL and graph.constants[right].ndim != 2:
                continue
            groups = int(attribute(node, "group", 1)) if node.op_type != MATMUL else 1
            layers.append(QuantLayer(node.name, node.op_type, (left,), right, groups))
        elif node.op_type == MATMUL:
            layers.append(QuantLayer(node.name, MATMUL, (left, right), None))
    return layers


def multiply_adds(graph: OnnxGraph, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    """Counts the multiply-adds of each convolution and matrix product of a graph, by node name.

    Args:
        graph: The graph.
        shapes: Shapes of its activations, as they were seen running (`observe_shapes`).
    """
    counts = {}
    for node in graph.nodes:
        if node.op_type not in HEAVY_TYPES:
            continue
        taken, given = shapes[node.input[0]], shapes[node.output[0]]
        if node.op_type in (MATMUL, "Gemm"):
            counts[node.name] = math.prod(given) * taken[-1]
        else:
            weight = shapes[node.input[1]]
            counts[node.name] = math.prod(given if node.op_type == CONV else taken) * math.prod(weight[1:])
    return counts


def observe_shapes(graph: OnnxGraph, batch: Batch) -> dict[str, tuple[int, ...]]:
    """Runs a graph on one batch and returns the shape of what each convolution and matrix product meets."""
    model = graph.to_model("shapes")
    heavy = [node for node in graph.nodes if node.op_type in HEAVY_TYPES]
    shapes = {name: value.shape for name, value in graph.constants.items()}
    shapes[model.graph.input[0].name] = batch.shape
    names = {name for node in heavy for name in (*node.input, *node.output) if name and name not in shapes}
    values = TappedModel(model, sorted(names)).run(batch)
    return shapes | {name: value.shape for name, value in values.items()}


def watch(layers: Sequence[QuantLayer]) -> dict[str, int | None]:
    """Names the activations that layers take in, and their channel axis where they meet a constant weight."""
    axes: dict[str, int | None] = {}
    for layer in layers:
        for name in layer.inputs:
            axis = layer.channel_axis if layer.weight is not None else None
            # Read by layers that see its channels on different axes, an activation has no one channel axis.
            axes[name] = axis if axes.get(name, axis) == axis else None
    return axes
