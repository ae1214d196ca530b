"""Takes back what rounding does to the mean of each convolution's output, one convolution after the other.

Rounded weights times rounded inputs miss the float output by an error whose mean is not zero, and over many
layers it adds up: of small plates the logits of a detector's map sink by 0.2 to 0.5, and those near DB's
thresholds fall below them. The mean of each channel is measured in both networks, and the bias takes the
difference back (M. Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction",
ICCV 2019, section 4.2 and appendix D). It is measured in the order of the network, with all corrections
before it, so that each takes back only what those left.

Where it is measured matters. Text covers a hundredth of a picture: a mean over all of it is that of the
background, of which nothing is asked. So each value counts by its place's weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray

from edge_lpr.calib.quantization.layers import CONV
from edge_lpr.calib.quantization.taps import TappedModel
from edge_lpr.onnx_graph.graph import OnnxGraph
from edge_lpr.types import Batch

__all__ = ["Probe", "correct_means"]


@dataclass(frozen=True, eq=False)
class Probe:
    """What a mean is measured on.

    Attributes:
        batch: For the network's input, uint8 N×H×W×3.
        weights: What each place counts, float32 N×H×W, 0 or more; None where all count alike.
    """

    batch: Batch
    weights: NDArray[np.float32] | None = None


def correct_means(graph: OnnxGraph, reference: onnx.ModelProto, probes: Sequence[Probe]) -> int:
    """Corrects the integer biases of a quantized graph, in place.

    Args:
        graph: The graph, as `insert_qdq` leaves it.
        reference: The float model that it was quantized from, its nodes named alike.
        probes: What the means are measured on; none of them corrects nothing.

    Returns:
        How many convolutions were corrected.
    """
    makers = {name: node for node in graph.nodes for name in node.output}
    biases = {
        node.name: maker
        for node in graph.nodes
        if node.op_type == CONV
        and len(node.input) > 2
        and (maker := makers.get(node.input[2])) is not None
        and maker.op_type == "DequantizeLinear"
    }
    if not probes or not biases:
        return 0
    outputs = {node.name: node.output[0] for node in reference.graph.node if node.name in biases}
    wanted = _means(reference, list(outputs.values()), probes)
    for node in [node for node in graph.nodes if node.name in biases]:
        levels, scales = biases[node.name].input[:2]
        name = node.output[0]
        shift = wanted[outputs[node.name]] - _means(graph.part(name), [name], probes)[name]
        corrected = graph.constants[levels] + np.rint(shift / graph.constants[scales])
        room = np.iinfo(np.int32).max // 2
        graph.constants[levels] = np.clip(corrected, -room, room).astype(np.int32)
    return len(biases)


def _means(
    model: onnx.ModelProto, names: Sequence[str], probes: Sequence[Probe]
) -> dict[str, NDArray[np.float64]]:
    """Returns the weighted mean of each channel of some maps, float64 C."""
    tapped = TappedModel(model, names)
    totals = dict.fromkeys(names, np.zeros(1))
    counts = dict.fromkeys(names, 0.0)
    for probe in probes:
        for name, value in tapped.run(probe.batch).items():
            if probe.weights is None:
                totals[name] = totals[name] + value.sum(axis=(0, 2, 3), dtype=np.float64)
                counts[name] += value.size / value.shape[1]
                continue
            height, width = value.shape[2:]
            counted = [cv2.resize(w, (width, height), interpolation=cv2.INTER_AREA) for w in probe.weights]
            totals[name] = totals[name] + np.einsum("nchw,nhw->c", value, np.stack(counted))
            counts[name] += float(np.sum(counted))
    return {name: totals[name] / max(counts[name], 1e-12) for name in names}
