"""Writes a graph as explicit INT8: QuantizeLinear/DequantizeLinear pairs around the layers that run so.

Symmetric INT8 with zero point 0, one scale per activation, one scale per output channel of a weight, biases
in float. Weights are stored as INT8 constants before a DequantizeLinear, so the file shrinks with them. Where
pairs stand is for a target to say (`edge_lpr.calib.quantization.target`).

Every scale is a normal number of FP16, written as float32: a graph whose float part becomes FP16 keeps them
to the bit, and what was rounded by a scale is what it is multiplied with again.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_lpr.calib.quantization.layers import QuantLayer
from edge_lpr.calib.quantization.range_estimator import LEVELS
from edge_lpr.onnx_graph.graph import OnnxGraph

__all__ = ["MIN_SCALE", "QdqPairs", "activation_scale", "quantize_weight", "round_weight", "weight_scales"]

MIN_SCALE = float(np.finfo(np.float16).smallest_normal)
"""FP16's smallest normal number, 6.1e-5. Smaller scales lose bits in FP16, and are zero on hardware that
flushes subnormal numbers: what they are multiplied with would vanish."""
_MAX_SCALE = float(np.finfo(np.float16).max)


def activation_scale(amax: float) -> np.float32:
    """Returns the scale of an activation.

    Args:
        amax: The largest magnitude that is to be told apart, above 0.
    """
    return np.float32(_fp16(np.float32(amax / LEVELS)))


def weight_scales(weight: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """Returns the scale of each output channel: its largest magnitude over 127.

    Args:
        weight: float32 weight.
        axis: Its output channel axis.
    """
    others = tuple(i for i in range(weight.ndim) if i != axis)
    return _fp16(np.asarray(np.abs(weight).max(axis=others) / LEVELS, np.float32))


def _fp16(scale: NDArray[np.float32] | np.float32) -> NDArray[np.float32]:
    """Rounds scales to normal numbers of FP16."""
    return np.clip(scale, MIN_SCALE, _MAX_SCALE).astype(np.float16).astype(np.float32)


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


def quantize_weight(graph: OnnxGraph, layer: QuantLayer) -> None:
    """Stores a layer's constant weight in INT8, in place; one without stays as it is."""
    if layer.weight is None:
        return
    position, node = next((i, n) for i, n in enumerate(graph.nodes) if n.name == layer.name)
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


class QdqPairs:
    """The pairs on the activations of a graph: one for each activation, whoever reads it."""

    def __init__(self, graph: OnnxGraph) -> None:
        self._graph = graph
        self._zero = graph.constant("zero_point", np.array(0, np.int8))
        self._made: dict[str, str] = {}

    def behind(self, name: str, amax: float) -> str:
        """Returns an activation as it comes out of its pair, which is put behind it where it has none yet.

        Args:
            name: The activation.
            amax: The largest magnitude that is to be told apart, above 0; of the first who asks.
        """
        if name not in self._made:
            self._made[name] = self._insert(name, activation_scale(amax))
        return self._made[name]

    def _insert(self, name: str, scale: np.float32) -> str:
        # Right behind whatever makes the tensor, so that both stand before all its readers.
        graph = self._graph
        producer = graph.producer(name)
        position = 0 if producer is None else next(i for i, n in enumerate(graph.nodes) if n is producer) + 1
        constant = graph.constant(f"{name}_scale", np.array(scale, np.float32))
        low = graph.insert(position, "QuantizeLinear", [name, constant, self._zero], f"{name}_quantized")
        return graph.insert(
            position + 1, "DequantizeLinear", [low, constant, self._zero], f"{name}_dequantized"
        )
