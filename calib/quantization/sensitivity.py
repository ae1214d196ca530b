"""Per-layer sensitivity: how far each layer, alone in INT8, moves the network's output.

Accuracy on some hundred plates does not see the noise that pushes the next doubtful plate over a threshold;
the distance from FP32's output does. The distances of single layers add up like independent noise, by their
squares (on the default bundle to within a quarter), and a few layers with few multiply-adds make most of it:
the first ones, the last ones, depthwise ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from edge_lpr.calib.quantization.layers import QuantLayer

__all__ = ["Sensitivity"]

NOTABLE = 0.01
"""A layer that makes less than this share of the quantization noise gains nothing in float."""


@dataclass(frozen=True)
class Sensitivity:
    """The sensitivity of all layers of a network.

    Attributes:
        distances: How far each layer, alone in INT8, moves the output, by name; 0 or more.
        costs: What each convolution and matrix product of the network costs in float, by name.
        unit: What that counts.
    """

    distances: Mapping[str, float]
    costs: Mapping[str, int]
    unit: str = "multiply-adds"

    @property
    def noise(self) -> float:
        """The quantization noise of all layers together: the sum of the distances' squares."""
        return sum(d * d for d in self.distances.values())

    def of(self, layer: QuantLayer) -> float:
        """Returns the noise that one layer makes."""
        return self.distances[layer.name] ** 2

    def is_notable(self, layer: QuantLayer) -> bool:
        """Tells whether a layer makes enough of the noise to be worth float."""
        return self.of(layer) >= NOTABLE * self.noise

    def by_cost(self, layers: Sequence[QuantLayer]) -> list[QuantLayer]:
        """Orders layers, those first that make most noise for their cost."""
        return sorted(layers, key=lambda layer: -self.of(layer) / max(self.costs[layer.name], 1))

    def reason(self, layer: QuantLayer) -> str:
        """Says why a layer stays in float."""
        return (
            f"alone it moves the output by {self.distances[layer.name]:.5f}: "
            f"{self.of(layer) / max(self.noise, 1e-30):.1%} of the noise for "
            f"{self.costs[layer.name] / max(sum(self.costs.values()), 1):.2%} of the {self.unit}"
        )
