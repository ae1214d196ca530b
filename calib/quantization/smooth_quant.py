"""SmoothQuant: moves per-channel scales from activations into weights, so that one INT8 scale fits all.

After hard-swish and batch norm single channels can be 10 to 100 times larger than the median; one scale for
the whole activation then leaves the others a handful of levels. For an activation a that layers multiply
with weights w, dividing each channel by s and multiplying the weights of that input channel by s changes
nothing in float. With

    s_c = max|a_c|^alpha / max|w_c|^(1 − alpha)      (G. Xiao et al., "SmoothQuant", ICML 2023, equation 4)

the spread is shared between the two; alpha is the migration strength. A depthwise weight has a scale per
channel of its own in INT8, so there all of it moves: s_c = max|a_c|.

The division is first written as a product with a constant on the layers' own input, which holds for any
graph: residual sums and squeeze-excitation branches go on reading the unscaled activation. `push_up` then
moves that product into what made the activation, through ReLU, pooling, bias and sums of one reader, into a
convolution's weights, a layer norm's scale or a squeeze-excitation gate. What cannot go there, behind
hard-swish and swish, stays as a product with a constant, or is taken back where the target wants none.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edge_lpr.calib.quantization.layers import CONV, QuantLayer
from edge_lpr.calib.quantization.range_estimator import TensorStats
from edge_lpr.onnx_graph.graph import OnnxGraph

__all__ = ["SmoothedActivation", "push_up", "smooth_activations", "smoothing_factors"]

Scales = NDArray[np.float32]
# f(s·x) = s·f(x) for positive s: a per-channel factor passes through.
_HOMOGENEOUS = ("Relu", "LeakyRelu", "GlobalAveragePool", "AveragePool", "MaxPool", "Resize")
# A spread below this gains less than half a bit, and a product left over would cost more than that is worth.
MIN_SPREAD = 1.5
# A channel that calibration saw (nearly) silent keeps at least this share of the largest one's scale.
FLOOR = 1e-4


@dataclass(frozen=True, eq=False)
class SmoothedActivation:
    """One activation whose channels were scaled.

    Attributes:
        tensor: The activation as it was named before.
        scaled: Its scaled twin, which the layers read.
        spread: Largest over median channel before.
        scale: float32 C, what each channel was divided by.
        folded: Whether the product vanished into what makes the activation.
    """

    tensor: str
    scaled: str
    spread: float
    scale: Scales
    folded: bool


def smoothing_factors(
    channel_max: Scales, weights: Sequence[tuple[QuantLayer, NDArray[np.float32]]], alpha: float
) -> Scales:
    """Returns the factor s of each channel, normalised to a geometric mean of 1.

    Args:
        channel_max: float32 C, largest magnitude of each channel.
        weights: The layers that read the activation, and their weights.
        alpha: Migration strength: share of the spread that moves into the weights, 0 to 1.
    """
    activation = np.maximum(channel_max, channel_max.max() * FLOOR or 1.0).astype(np.float64)
    if all(_depthwise(layer, weight) for layer, weight in weights):
        scale = activation
    else:
        peaks = [np.abs(layer.by_input(weight)).max(axis=1) for layer, weight in weights]
        weight_max = np.max(peaks, axis=0).astype(np.float64)
        weight_max = np.maximum(weight_max, weight_max.max() * FLOOR or 1.0)
        scale = activation**alpha / weight_max ** (1 - alpha)
    return np.asarray(scale / np.exp(np.log(scale).mean()), np.float32)


def _depthwise(layer: QuantLayer, weight: NDArray[np.float32]) -> bool:
    return layer.op_type == CONV and 1 < layer.groups == weight.shape[0]


def smooth_activations(
    graph: OnnxGraph,
    layers: Sequence[QuantLayer],
    stats: Mapping[str, TensorStats],
    alpha: float,
    *,
    keep_products: bool = True,
) -> list[SmoothedActivation]:
    """Scales the channels of the activations that layers with constant weights take in, in place.

    Args:
        graph: The graph.
        layers: Its layers.
        stats: What was seen of their inputs.
        alpha: Migration strength; see `smoothing_factors`.
        keep_products: Whether an activation is smoothed too where the product with a constant has to stay.

    Returns:
        What was smoothed. The layers' inputs have new names; find them again with `find_layers`.
    """
    readers: dict[str, list[QuantLayer]] = {}
    for layer in layers:
        if layer.weight is not None:
            readers.setdefault(layer.inputs[0], []).append(layer)
    nodes = {node.name: node for node in graph.nodes}
    gates = {name for name, shape in graph.shapes().items() if len(shape) == 4 and shape[2:] == (1, 1)}
    smoothed = []
    for name, group in readers.items():
        if len({layer.channel_axis for layer in group}) != 1:
            continue
        channel_max = stats[name].channel_max
        spread = float(channel_max.max() / max(np.median(channel_max), 1e-12))
        weights = [(layer, graph.constants[nodes[layer.name].input[1]]) for layer in group]
        scale = smoothing_factors(channel_max, weights, alpha)
        if scale.max() / scale.min() < MIN_SPREAD:
            continue
        order, before = (
            list(graph.nodes),
            [onnx.NodeProto.FromString(n.SerializeToString()) for n in graph.nodes],
        )
        rank = len(stats[name].shape)
        shape = [1] * rank
        shape[group[0].channel_axis] = -1
        factor = (1 / scale).reshape(shape).astype(np.float32)
        producer = graph.producer(name)
        position = 0 if producer is None else _index(graph, producer) + 1
        constant = graph.constant(f"{name}_migration", factor)
        scaled = graph.insert(position, "Mul", [name, constant], f"{name}_scaled")
        product = graph.nodes[position]
        for layer, weight in weights:
            node = nodes[layer.name]
            node.input[0] = scaled
            node.input[1] = graph.constant(f"{layer.weight}_scaled", layer.scale_inputs(weight, scale))
        folded = push_up(graph, product, gates)
        if not folded and not keep_products:
            for node, was in zip(order, before, strict=True):
                node.CopyFrom(was)
            graph.nodes[:] = order
            continue
        smoothed.append(SmoothedActivation(name, scaled, spread, scale, folded))
    return smoothed


def _index(graph: OnnxGraph, node: onnx.NodeProto) -> int:
    return next(i for i, n in enumerate(graph.nodes) if n is node)


def push_up(graph: OnnxGraph, product: onnx.NodeProto, gates: Collection[str]) -> bool:
    """Moves a product with a per-channel constant towards what makes its input.

    It stops where something else reads the unscaled activation too.

    Args:
        graph: The graph, changed in place.
        product: A Mul node of the graph: activation × positive constant that is 1 on all axes but one.
        gates: The tensors of shape N×C×1×1, on which a product costs next to nothing.

    Returns:
        Whether the product vanished, or shrank to one value per channel and image.
    """
    source = product.input[0]
    if source in gates:
        return True
    maker = graph.producer(source)
    if maker is None or graph.only_consumer(source) is not product:
        return False
    if maker.op_type in _HOMOGENEOUS:
        return _swap(graph, product, maker, 0, gates)
    if maker.op_type == "Add":
        return _through_bias(graph, product, maker, gates)
    if maker.op_type == "Mul":
        return _into_gate(graph, product, maker, gates)
    return _into_constants(graph, product, maker)


def _into_constants(graph: OnnxGraph, product: onnx.NodeProto, maker: onnx.NodeProto) -> bool:
    """Scales the weights of a convolution, matrix product or layer norm in place of its output."""
    if any(name not in graph.constants for name in maker.input[1:]) or len(maker.input) < 2:
        return False
    factor = graph.constants[product.input[1]]
    per_channel = factor.reshape(-1)
    weight = graph.constants[maker.input[1]]
    if maker.op_type == "Conv":
        shape = [-1, *[1] * (weight.ndim - 1)]
    elif maker.op_type == "ConvTranspose" and weight.shape[1] == per_channel.size:
        # Grouped, its output channels would be spread over two axes.
        shape = [1, -1, *[1] * (weight.ndim - 2)]
    elif maker.op_type in ("MatMul", "LayerNormalization") and factor.shape[-1] == factor.size:
        shape = [-1]
    else:
        return False
    maker.input[1] = graph.constant(f"{maker.input[1]}_scaled", _float32(weight * per_channel.reshape(shape)))
    if len(maker.input) > 2:
        bias = graph.constants[maker.input[2]] * per_channel
        maker.input[2] = graph.constant(f"{maker.input[2]}_scaled", _float32(bias))
    maker.output[0] = product.output[0]
    graph.nodes.remove(product)
    return True


def _through_bias(
    graph: OnnxGraph, product: onnx.NodeProto, maker: onnx.NodeProto, gates: Collection[str]
) -> bool:
    constants = [i for i in (0, 1) if maker.input[i] in graph.constants]
    if len(constants) != 1:
        return False  # a residual sum: the other branch would have to be scaled too
    factor = graph.constants[product.input[1]]
    i = constants[0]
    bias = graph.constants[maker.input[i]]
    if bias.ndim > factor.ndim:
        return False
    maker.input[i] = graph.constant(f"{maker.input[i]}_scaled", _float32(bias * _trimmed(factor, bias.ndim)))
    return _swap(graph, product, maker, 1 - i, gates)


def _trimmed(factor: Scales, rank: int) -> Scales:
    """Drops leading axes of length 1, as far as the rank of what it is multiplied with."""
    while factor.ndim > rank and factor.shape[0] == 1:
        factor = factor[0]
    return factor


def _swap(
    graph: OnnxGraph, product: onnx.NodeProto, maker: onnx.NodeProto, i: int, gates: Collection[str]
) -> bool:
    """Puts the product before `maker` (on its i-th input) in place of behind it, and goes on from there."""
    source, result, between = maker.input[i], product.output[0], maker.output[0]
    product.input[0], product.output[0] = source, between
    maker.input[i], maker.output[0] = between, result
    graph.nodes.remove(product)
    graph.nodes.insert(_index(graph, maker), product)
    return push_up(graph, product, gates)


def _into_gate(
    graph: OnnxGraph, product: onnx.NodeProto, maker: onnx.NodeProto, gates: Collection[str]
) -> bool:
    """Scales the gate of a squeeze-excitation in place of the activation that it multiplies."""
    for i in (0, 1):
        if maker.input[i] in gates and maker.input[1 - i] not in gates:
            return _swap(graph, product, maker, i, gates)
    return False


def _float32(value: NDArray[Any]) -> Scales:
    return np.asarray(value, np.float32)
