"""Bias correction: takes back the shift that rounding and saturation give a convolution's mean output.

Rounded weights times rounded inputs miss the float output by an error whose mean over images is not zero.
That mean is known from the calibration images, and the bias, which stays in float, can take it back at no
cost (M. Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", ICCV 2019,
section 4.2; here the means are measured, not derived).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from edge_lpr.calib.quantization.layers import CONV, QuantLayer
from edge_lpr.calib.quantization.qdq import round_weight, weight_scales
from edge_lpr.calib.quantization.range_estimator import LEVELS, TensorStats
from edge_lpr.onnx_graph.graph import OnnxGraph


def correct_biases(
    graph: OnnxGraph,
    layers: Sequence[QuantLayer],
    stats: Mapping[str, TensorStats],
    ranges: Mapping[str, float],
) -> int:
    """Corrects the biases of convolutions that are about to be quantized, in place.

    Convolutions without a bias, and matrix products, whose bias is an operator of its own, stay as they are.

    Args:
        graph: The graph, still in float.
        layers: The layers that will be quantized.
        stats: What was seen of their inputs, by channel.
        ranges: The ranges that their inputs will have.

    Returns:
        How many biases were corrected.
    """
    nodes = {node.name: node for node in graph.nodes}
    corrected = 0
    for layer in layers:
        node = nodes[layer.name]
        if layer.op_type != CONV or layer.weight is None or len(node.input) < 3:
            continue
        weight = graph.constants[layer.weight]
        sample = stats[layer.inputs[0]].sample
        if len(sample) != layer.groups * weight.shape[1]:
            continue  # looked at as a whole: nothing is known of its channels
        step = ranges[layer.inputs[0]] / LEVELS
        rounded_mean = (np.clip(np.rint(sample / step), -LEVELS, LEVELS) * step).mean(axis=1)
        scales = weight_scales(weight, layer.output_axis)
        rounded = round_weight(weight, scales, 0) * scales.reshape(-1, *[1] * (weight.ndim - 1))
        shift = mean_output(weight, sample.mean(axis=1), layer.groups) - mean_output(
            rounded, rounded_mean, layer.groups
        )
        bias = np.asarray(graph.constants[node.input[2]] + shift, np.float32)
        node.input[2] = graph.constant(f"{node.input[2]}_corrected", bias)
        corrected += 1
    return corrected


def mean_output(weight: NDArray[np.float32], mean: NDArray[np.float32], groups: int) -> NDArray[np.float64]:
    """Returns the mean output of each channel for mean inputs, float64; padding is left out of account."""
    out, within = weight.shape[:2]
    summed = weight.reshape(groups, out // groups, within, -1).sum(axis=3, dtype=np.float64)
    result: NDArray[np.float64] = np.einsum("goi,gi->go", summed, mean.reshape(groups, within)).reshape(-1)
    return result
