"""Writes a graph as explicit INT8: QuantizeLinear/DequantizeLinear pairs that TensorRT and ONNX Runtime read.

The rules are TensorRT's for explicit quantization: symmetric INT8 with zero point 0, one scale per
activation, one scale per output channel of a weight, biases in float. Q/DQ stands on what a convolution or
matrix product takes *in*: what it returns runs on in float through bias, activation and residual sum,
which TensorRT fuses into the same kernel, up to the next Q. Weights are stored as INT8 constants before a
DequantizeLinear, so the file shrinks with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edge_lpr.calib.quantization.layers import QuantLayer
from edge_lpr.calib.quantization.range_estimator import LEVELS
from edge_lpr.onnx_graph.graph import OnnxGraph

# Below this a scale would be denormal in FP16, which TensorRT may compute in.
MIN_SCALE = 1e-7


def weight_scales(weight: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Returns the scale of each output channel: its largest magnitude over 127.

    Args:
        weight: float32 weight.
        axis: Its output channel axis.
    """
    others = tuple(i for i in range(weight.ndim) if i != axis)
    amax = np.abs(weight).max(axis=others)
    return np.asarray(np.maximum(amax / LEVELS, MIN_SCALE), np.float32)


def round_weight(weight: NDArray[np.float32], scales: NDArray[np.float32], axis: int) -> NDArray[np.int8]:
    """Rounds a weight to INT8.

    Args:
        weight: float32 weight of any shape.
        scales: float32 C, above 0: what a step is worth in each output channel.
        axis: Its output channel axis, of size C.

    Returns:
        int8 of the weight's shape, −127 to 127; what lies beyond saturates.
    """
    shape = [1] * weight.ndim
    shape[axis] = -1
    levels = np.rint(weight / scales.reshape(shape))
    return np.asarray(np.clip(levels, -LEVELS, LEVELS), np.int8)


def insert_qdq(
    graph: OnnxGraph,
    layers: Sequence[QuantLayer],
    ranges: Mapping[str, float],
) -> None:
    """Quantizes layers in place: a Q/DQ pair on what each takes in, its weight rounded to INT8.

    Args:
        graph: The graph.
        layers: The layers to run in INT8.
        ranges: Largest magnitude told apart, for each activation that these layers take in.
    """
    zero = graph.constant("zero_point", np.array(0, np.int8))
    quantized: dict[str, str] = {}
    chosen = {layer.name: layer for layer in layers}
    for node in list(graph.nodes):
        layer = chosen.get(node.name)
        if layer is None:
            continue
        for i, name in enumerate(layer.inputs):
            if name not in quantized:
                quantized[name] = _pair(graph, name, ranges[name], zero)
            node.input[i] = quantized[name]
        if layer.weight is not None:
            position = next(i for i, n in enumerate(graph.nodes) if n is node)
            weight = graph.constants[layer.weight]
            scales = weight_scales(weight, layer.output_axis)
            node.input[1] = graph.insert(
                position,
                "DequantizeLinear",
                [
                    graph.constant(f"{layer.weight}_int8", round_weight(weight, scales, layer.output_axis)),
                    graph.constant(f"{layer.weight}_scale", scales),
                    graph.constant(f"{layer.weight}_zero_point", np.zeros(len(scales), np.int8)),
                ],
                f"{layer.weight}_dequantized",
                axis=layer.output_axis,
            )


def _pair(graph: OnnxGraph, name: str, amax: float, zero: str) -> str:
    # Right behind whatever makes the tensor, so that both stand before all its readers.
    producer = graph.producer(name)
    position = 0 if producer is None else next(i for i, n in enumerate(graph.nodes) if n is producer) + 1
    scale = graph.constant(f"{name}_scale", np.array(max(amax / LEVELS, MIN_SCALE), np.float32))
    low = graph.insert(position, "QuantizeLinear", [name, scale, zero], f"{name}_quantized")
    return graph.insert(position + 1, "DequantizeLinear", [low, scale, zero], f"{name}_dequantized")
