"""The activations that a quantized graph treats as one operator: hard-swish and swish, x·f(x)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import onnx

from edge_lpr.onnx_graph.fold import attribute
from edge_lpr.onnx_graph.graph import OnnxGraph

__all__ = ["HARD_LIMIT", "GatedActivation", "find_gated"]

HARD_LIMIT = 3.0
"""Hard-swish, x·clip(x/6 + 1/2, 0, 1), is 0 below minus this and x above it."""
_SLOPE_ERROR = 1e-4


@dataclass(frozen=True, eq=False)
class GatedActivation:
    """x·f(s·x).

    Attributes:
        kind: "hard" where f is clip(x/6 + 1/2, 0, 1), "swish" where it is the sigmoid.
        source: The tensor x.
        output: The tensor that comes out.
        inner: The nodes that make the gate.
        scale: Name of the constant s, one value a channel; None for 1.
    """

    kind: Literal["hard", "swish"]
    source: str
    output: str
    inner: tuple[onnx.NodeProto, ...]
    scale: str | None


def find_gated(graph: OnnxGraph) -> dict[str, GatedActivation]:
    """Finds the hard-swishes and swishes of a graph, by the tensor that comes out."""
    producers = {name: node for node in graph.nodes for name in node.output}
    readers: dict[str, int] = {}
    for node in graph.nodes:
        for name in node.input:
            readers[name] = readers.get(name, 0) + 1
    found: dict[str, GatedActivation] = {}
    for node in graph.nodes:
        if node.op_type != "Mul":
            continue
        for source, gate in (tuple(node.input), tuple(node.input)[::-1]):
            maker = producers.get(gate)
            if maker is None or readers[gate] != 1:
                continue
            kind = _kind(maker)
            if kind is None:
                continue
            if maker.input[0] == source:
                found[node.output[0]] = GatedActivation(kind, source, node.output[0], (maker,), None)
                break
            scaling = producers.get(maker.input[0])
            if (
                scaling is not None
                and scaling.op_type == "Mul"
                and scaling.input[0] == source
                and scaling.input[1] in graph.constants
                and readers[maker.input[0]] == 1
            ):
                inner = (scaling, maker)
                found[node.output[0]] = GatedActivation(kind, source, node.output[0], inner, scaling.input[1])
                break
    return found


def _kind(node: onnx.NodeProto) -> Literal["hard", "swish"] | None:
    if node.op_type == "Sigmoid":
        return "swish"
    if node.op_type != "HardSigmoid":
        return None
    slope, offset = attribute(node, "alpha", 0.2), attribute(node, "beta", 0.5)
    return "hard" if abs(slope - 1 / 6) < _SLOPE_ERROR and abs(offset - 0.5) < _SLOPE_ERROR else None
