"""Cross-layer equalization: brings the channels between two convolutions to one range, exactly in float.

One scale for a whole activation leaves channels that are 10 to 100 times smaller than the largest a
handful of levels. Rows of a convolution divided by s, and the weights that read them multiplied with s,
change nothing in float, through a ReLU neither (M. Nagel et al., "Data-Free Quantization Through Weight
Equalization and Bias Correction", ICCV 2019, section 4.1). A hard-swish, x·f(x), goes along where its gate
undoes the division: x/s·f(s·x/s) = x·f(x)/s. The factors are SmoothQuant's (`smoothing_factors`), whose
alpha says how much of the spread moves into the weights.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, MutableMapping
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray

from edge_lpr.calib.quantization.cpu.activations import HARD_LIMIT, GatedActivation, find_gated
from edge_lpr.calib.quantization.layers import CONV, QuantLayer, find_layers
from edge_lpr.calib.quantization.range_estimator import TensorStats
from edge_lpr.calib.quantization.smooth_quant import smoothing_factors
from edge_lpr.onnx_graph.graph import OnnxGraph

__all__ = ["equalize"]

# Levels that a factor is rounded to: the gate multiplies with it in UINT8.
_LEVELS = 255
_MIN_SPREAD = 1.5


@dataclass(frozen=True, eq=False)
class _Site:
    """Where channels may be scaled.

    Attributes:
        maker: The convolution that makes x.
        gated: The hard-swish behind it; None for a ReLU or nothing.
        between: The tensors from x to what the readers take in.
        readers: The convolutions that read it.
    """

    maker: onnx.NodeProto
    gated: GatedActivation | None
    between: tuple[str, ...]
    readers: tuple[QuantLayer, ...]


def equalize(
    graph: OnnxGraph,
    quantized: Collection[str],
    stats: MutableMapping[str, TensorStats],
    alpha: float,
) -> int:
    """Equalizes the channels between convolutions of a float graph, in place.

    Args:
        graph: The graph.
        quantized: Names of the convolutions that will run in INT8: between two others nothing is scaled.
        stats: What was seen of the activations, by channel; changed to what would be seen now.
        alpha: Share of the spread that moves into the weights that read them, 0 to 1.

    Returns:
        How many activations were equalized.
    """
    nodes = {node.name: node for node in graph.nodes}
    count = 0
    for site in _sites(graph, quantized):
        weights = [(layer, graph.constants[nodes[layer.name].input[1]]) for layer in site.readers]
        factors = _factors(smoothing_factors(_magnitude(site, stats), weights, alpha))
        if factors.max() / factors.min() < _MIN_SPREAD:
            continue
        _divide_rows(graph, site.maker, factors)
        if site.gated is not None:
            _restore_gate(graph, site.gated, factors)
        for layer, weight in weights:
            scaled = layer.scale_inputs(weight, factors)
            nodes[layer.name].input[1] = graph.constant(f"{layer.weight}_equalized", scaled)
        for name in site.between:
            stats[name] = stats[name].divided(factors)
        count += 1
    return count


def _sites(graph: OnnxGraph, quantized: Collection[str]) -> list[_Site]:
    layers = {layer.name: layer for layer in find_layers(graph) if layer.op_type == CONV}
    gated = {activation.source: activation for activation in find_gated(graph).values()}
    sites = []
    for node in graph.nodes:
        if node.op_type != CONV or any(name not in graph.constants for name in node.input[1:]):
            continue
        x = node.output[0]
        activation = gated.get(x)
        between = [x]
        if activation is not None:
            only = {activation.output, *(o for inner in activation.inner for o in inner.output)}
            if activation.kind != "hard" or any(c.output[0] not in only for c in graph.consumers(x)):
                continue
            between.append(activation.output)
        elif (relu := graph.only_consumer(x)) is not None and relu.op_type == "Relu":
            between.append(relu.output[0])
        readers = graph.consumers(between[-1])
        if not readers or graph.is_output(between[-1]) or any(r.name not in layers for r in readers):
            continue
        names = {reader.name for reader in readers}
        # A gate that is float would have to multiply, which keeps it out of the convolution's own kernel.
        if not names & set(quantized) or (activation is not None and node.name not in quantized):
            continue
        sites.append(_Site(node, activation, tuple(between), tuple(layers[r.name] for r in readers)))
    return sites


def _magnitude(site: _Site, stats: Mapping[str, TensorStats]) -> NDArray[np.float32]:
    """Returns what each channel needs to be told apart up to, float32 C."""
    if site.gated is None:
        return stats[site.between[-1]].channel_max
    sample = stats[site.between[0]].sample
    low = np.maximum(sample.min(axis=1), -HARD_LIMIT)
    return np.asarray(np.maximum(sample.max(axis=1), -low), np.float32)


def _factors(wanted: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rounds factors so that UINT8 holds them exactly."""
    step = wanted.max() / _LEVELS
    return np.asarray(np.maximum(np.rint(wanted / step), 1) * step, np.float32)


def _divide_rows(graph: OnnxGraph, node: onnx.NodeProto, factors: NDArray[np.float32]) -> None:
    weight = graph.constants[node.input[1]]
    shape = [-1, *[1] * (weight.ndim - 1)]
    node.input[1] = graph.constant(
        f"{node.input[1]}_rows", np.asarray(weight / factors.reshape(shape), np.float32)
    )
    if len(node.input) > 2:
        bias = np.asarray(graph.constants[node.input[2]] / factors, np.float32)
        node.input[2] = graph.constant(f"{node.input[2]}_rows", bias)


def _restore_gate(graph: OnnxGraph, activation: GatedActivation, factors: NDArray[np.float32]) -> None:
    gate = activation.inner[0]
    at = next(i for i, node in enumerate(graph.nodes) if node is gate)
    scale = graph.constant(f"{activation.source}_factors", factors.reshape(1, -1, 1, 1))
    gate.input[0] = graph.insert(at, "Mul", [activation.source, scale], f"{activation.source}_restored")
