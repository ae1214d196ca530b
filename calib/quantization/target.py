"""What an INT8 model is made to run on: which layers it may hold in INT8, and where Q and DQ stand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from edge_lpr.calib.quantization.layers import QuantLayer
from edge_lpr.onnx_graph.graph import OnnxGraph

__all__ = ["Target"]


class Target(Protocol):
    """One runtime's rules.

    Attributes:
        name: What figures that depend on the rules are remembered under.
        float_bytes: Bytes of a weight that stays in float.
        keeps_products: Whether SmoothQuant may leave a product with a constant before a layer, where it
            cannot go into what makes the layer's input.
        cost_unit: What `float_costs` counts, for messages.
    """

    name: str
    float_bytes: int
    keeps_products: bool
    cost_unit: str

    def refused(self, graph: OnnxGraph, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, str]:
        """Says which layers stay in float whatever their accuracy, and why.

        Args:
            graph: The graph, in float.
            shapes: What was seen of its activations (`observe_shapes`).

        Returns:
            Reasons by the layers' names.
        """
        ...

    def float_costs(self, graph: OnnxGraph, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
        """Says what each convolution and matrix product costs that stays in float, by the nodes' names.

        Args:
            graph: The graph, in float.
            shapes: What was seen of its activations (`observe_shapes`).
        """
        ...

    def tensors(self, graph: OnnxGraph, layers: Sequence[QuantLayer]) -> dict[str, int | None]:
        """Names the activations that get a pair where some layers run in INT8, and their channel axes.

        Args:
            graph: The graph, in float.
            layers: The layers.
        """
        ...

    def insert(self, graph: OnnxGraph, layers: Sequence[QuantLayer], ranges: Mapping[str, float]) -> None:
        """Quantizes layers in place.

        Args:
            graph: The graph, in float.
            layers: The layers.
            ranges: The largest magnitude that is told apart, of each of `tensors`.
        """
        ...
