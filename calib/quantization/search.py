"""Finds how to quantize a network: first the cure for all layers, then the layers that must stay in float.

A `QuantConfig` is tried by how far the network's output moves from FP32's (`Objective.distance`): that is a
smooth figure and a few images give it. What is promised, and what the accuracy budget is about, is the
objective's accuracy on labelled images (`Objective.accuracy`), which chooses among the nearest configs.

Accuracy does not see all the noise that distance does. So the layers are also tried one by one
(`Sensitivity`), and the most sensitive for their cost stay in float: up to a share of all cost, the float
budget, and up to a size of the file. Where the accuracy budget is missed even so, more of them do, as
few as keep it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import onnx

from edge_lpr.calib.quantization.bias_correction import correct_biases
from edge_lpr.calib.quantization.cache import Cache
from edge_lpr.calib.quantization.layers import QuantLayer, find_layers, multiply_adds
from edge_lpr.calib.quantization.objectives import Objective
from edge_lpr.calib.quantization.range_estimator import RangeEstimator, TensorStats, estimate_range
from edge_lpr.calib.quantization.sensitivity import Sensitivity
from edge_lpr.calib.quantization.smooth_quant import smooth_activations
from edge_lpr.calib.quantization.target import Target
from edge_lpr.counting import counted
from edge_lpr.onnx_graph.graph import OnnxGraph
from edge_lpr.precisions import REFERENCE

__all__ = ["QUANT_CONFIGS", "QuantConfig", "Search", "SearchResult"]

# Configs within this ratio of the nearest one's distance count as equals: their accuracy decides.
NEAR = 0.75
SHORTLIST = 4
# Share of FP32's size that the INT8 file may grow to with layers in float: it is to stay under 40 %.
SIZE_BUDGET = 0.39


@dataclass(frozen=True)
class QuantConfig:
    """How the layers are quantized.

    Attributes:
        range_estimator: How the ranges of activations are chosen.
        alpha: SmoothQuant's migration strength, 0 to 1: the share of the channels' spread that moves into the
            weights; None leaves SmoothQuant out.
    """

    range_estimator: RangeEstimator
    alpha: float | None

    def __str__(self) -> str:
        smoothing = "no SmoothQuant" if self.alpha is None else f"SmoothQuant with alpha {self.alpha}"
        return f"{self.range_estimator} ranges, {smoothing}"


ALPHAS = (0.4, 0.5, 0.6, 0.7, 0.8)
ESTIMATORS: tuple[RangeEstimator, ...] = ("mse", "percentile")
# A network can be bistable: on padded crops, PP-OCRv3's recognizer returns visibly other probabilities when
# the weights of one early convolution change by 0.3 %. Which side a config ends on is then chance, and
# several neighbours that are as good in principle are as many tries.
QUANT_CONFIGS: tuple[QuantConfig, ...] = (
    QuantConfig("mse", None),
    QuantConfig("percentile", None),
    *(QuantConfig(estimator, alpha) for alpha in ALPHAS for estimator in ESTIMATORS),
)


@dataclass
class SearchResult:
    """What a search ends with.

    Attributes:
        model: The INT8 model.
        config: How its layers are quantized.
        float_layers: Layers left in float, and why: those that the target refuses first.
        int8_share: Share of the network's multiply-adds that run in INT8, 0 to 1.
        accuracy: The objective's accuracy, 0 to 1.
        reference: That of FP32.
    """

    model: onnx.ModelProto
    config: QuantConfig
    float_layers: dict[str, str]
    int8_share: float
    accuracy: float
    reference: float


class Search:
    """The search over one network.

    Args:
        model: The FP32 model.
        stats: What was seen of the activations that the target quantizes (`Target.tensors`).
        shapes: Shapes of its activations, for counting multiply-adds.
        objective: What it is for.
        cache: Figures measured before.
        report: Called with a line for each step.
        target: What the model is to run on.

    Attributes:
        layers: The layers that may run in INT8.
        refused: Those that the target wants in float, with its reasons.
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        stats: Mapping[str, TensorStats],
        shapes: Mapping[str, tuple[int, ...]],
        objective: Objective,
        cache: Cache,
        report: Callable[[str], None],
        target: Target,
    ) -> None:
        self.model = model
        self.target = target
        self.stats = stats
        self.objective = objective
        self.cache = cache
        self.report = report
        graph = OnnxGraph(model)
        self.refused = target.refused(graph, shapes)
        self.layers = [layer for layer in find_layers(graph) if layer.name not in self.refused]
        self.multiply_adds = multiply_adds(graph, shapes)
        self.costs = target.float_costs(graph, shapes)
        self.weights = {
            la.name: graph.constants[la.weight].size for la in self.layers if la.weight is not None
        }

    def run(
        self,
        budget: float,
        float_budget: float = 0.0,
        size_budget: float = SIZE_BUDGET,
        configs: Sequence[QuantConfig] = QUANT_CONFIGS,
    ) -> SearchResult:
        """Finds the quantization.

        Args:
            budget: Accuracy that may be lost, 0 to 1.
            float_budget: Share of what layers cost in float that may stay so for less noise even where the
                accuracy budget is kept without, 0 to 1. What the target refuses is part of it.
            size_budget: Share of FP32's bytes that the file may grow to with these layers, 0 to 1.
            configs: What to try.
        """
        reference = self._reference()
        self.report(f"FP32: {reference:.4f}")
        distances = {config: self._distance(config, self.layers) for config in configs}
        for tried, distance in distances.items():
            self.report(f"{tried}: output moves by {distance:.5f}")
        nearest = min(distances, key=lambda config: distances[config])
        sensitivity: Sensitivity | None = None
        in_float: list[QuantLayer] = []
        total = max(sum(self.costs.values()), 1)
        float_budget -= sum(self.costs[name] for name in self.refused) / total
        if float_budget > 0:
            sensitivity = self._sensitivity(nearest)
            in_float = self._most_sensitive(nearest, sensitivity, float_budget, size_budget)
        accuracies: dict[QuantConfig, float] = {}
        for candidate in self.shortlist(distances, in_float):
            accuracies[candidate] = self._accuracy(candidate, self._without(in_float))
            count = f"{len(self.layers) - len(in_float)} of {len(self.layers)} layers in INT8"
            self.report(f"{count}, {candidate}: {accuracies[candidate]:.4f}")
            if accuracies[candidate] >= reference - budget:
                break
        config, accuracy = max(accuracies.items(), key=lambda item: item[1])
        wanted = reference - budget - 1 / self.objective.items
        if accuracy < wanted:
            sensitivity = sensitivity or self._sensitivity(config)
            more = [layer for layer in sensitivity.by_cost(self.layers) if layer not in in_float]
            count_needed, accuracy = self._fewest(config, in_float + more, len(in_float), wanted)
            in_float = (in_float + more)[:count_needed]
        quantized = self._without(in_float)
        work = self.multiply_adds
        share = sum(work[layer.name] for layer in quantized) / max(sum(work.values()), 1)
        found = {} if sensitivity is None else {la.name: sensitivity.reason(la) for la in in_float}
        reasons = self.refused | found
        return SearchResult(self.build(config, quantized), config, reasons, share, accuracy, reference)

    def shortlist(
        self, distances: Mapping[QuantConfig, float], in_float: Sequence[QuantLayer]
    ) -> list[QuantConfig]:
        """Orders the configs that are about as near as the nearest: whose accuracy is measured first.

        Args:
            distances: How far each moves the output.
            in_float: The layers that stay in float.
        """
        return _shortlist(distances)

    def build(self, config: QuantConfig, layers: Sequence[QuantLayer]) -> onnx.ModelProto:
        """Quantizes some layers of the network by a config."""
        graph = OnnxGraph(self.model)
        stats = dict(self.stats)
        names = {layer.name for layer in layers}
        if config.alpha is not None:
            # Layers that stay in float keep their weights too.
            keeps = self.target.keeps_products
            for smoothed in smooth_activations(graph, layers, stats, config.alpha, keep_products=keeps):
                stats[smoothed.scaled] = stats[smoothed.tensor].divided(smoothed.scale)
        chosen = [layer for layer in find_layers(graph) if layer.name in names]
        used = self.target.tensors(graph, chosen)
        ranges = {name: estimate_range(stats[name], config.range_estimator) for name in used}
        correct_biases(graph, chosen, stats, ranges)
        self.target.insert(graph, chosen, ranges)
        return graph.to_model("int8")

    def key(self, what: str, config: QuantConfig, layers: Sequence[QuantLayer]) -> str:
        """Names a figure of a model for the cache."""
        return f"{self.target.name}|{what}|{config}|{_names(layers)}"

    def _reference(self) -> float:
        return self.cache.get(REFERENCE, lambda: self.objective.accuracy(self.model))

    def _distance(self, config: QuantConfig, layers: Sequence[QuantLayer]) -> float:
        key = self.key("distance", config, layers)
        return self.cache.get(key, lambda: self.objective.distance(self.build(config, layers)))

    def _accuracy(self, config: QuantConfig, layers: Sequence[QuantLayer]) -> float:
        key = self.key("accuracy", config, layers)
        return self.cache.get(key, lambda: self.objective.accuracy(self.build(config, layers)))

    def _sensitivity(self, config: QuantConfig) -> Sensitivity:
        """Measures how far each layer, alone in INT8, moves the output."""
        distances = {}
        for i, layer in enumerate(self.layers, 1):
            distances[layer.name] = self._distance(config, [layer])
            moves = f"alone it moves the output by {distances[layer.name]:.5f}"
            self.report(f"sensitivity of layer {i} of {len(self.layers)}, {layer.name}: {moves}")
        return Sensitivity(distances, self.costs, self.target.cost_unit)

    def _most_sensitive(
        self, config: QuantConfig, sensitivity: Sensitivity, float_budget: float, size_budget: float
    ) -> list[QuantLayer]:
        """Chooses the layers that stay in float for less noise; none where that does not lessen it."""
        if float_budget <= 0:
            return []
        room = len(self.model.SerializeToString()) * size_budget
        room -= len(self.build(config, self.layers).SerializeToString())
        total = max(sum(self.costs.values()), 1)
        # What a layer takes of either budget, as a share of it.
        taken = {
            la.name: (self.costs[la.name] / total / float_budget, self._more_bytes(la) / max(room, 1))
            for la in self.layers
        }
        worth = sorted(self.layers, key=lambda la: -sensitivity.of(la) / max(*taken[la.name], 1e-9))
        chosen: list[QuantLayer] = []
        work = size = 0.0
        for layer in worth:
            more_work, more_size = taken[layer.name]
            if max(work + more_work, size + more_size) <= 1 and sensitivity.is_notable(layer):
                chosen.append(layer)
                work, size = work + more_work, size + more_size
        before = self._distance(config, self.layers)
        while chosen:
            after = self._distance(config, self._without(chosen))
            self.report(
                f"{counted(len(chosen), 'layers')} in float: output moves by {after:.5f} "
                f"in place of {before:.5f}"
            )
            if after < before:
                break
            # In a bistable network noise does not add up: fewer layers can be nearer.
            chosen = chosen[: len(chosen) // 2]
        return chosen

    def _more_bytes(self, layer: QuantLayer) -> int:
        """Returns by how much the file grows with a layer's weight in float in place of INT8."""
        if layer.weight is None:
            return 0
        return int(self.weights[layer.name] * (self.target.float_bytes - 1))

    def _fewest(
        self, config: QuantConfig, ordered: Sequence[QuantLayer], low: int, wanted: float
    ) -> tuple[int, float]:
        """Returns how many of the first layers must stay in float, more than `low`, and the accuracy then."""
        high = len(ordered)  # `low` layers in float are too few, `high` are enough
        best: float | None = None
        while high - low > 1:
            # The answer is more often small: look at a quarter of the way first.
            middle = low + max(1, (high - low) // 4)
            accuracy = self._accuracy(config, self._without(ordered[:middle]))
            self.report(f"{counted(middle, 'layers')} in float: {accuracy:.4f}")
            if accuracy >= wanted:
                high, best = middle, accuracy
            else:
                low = middle
        return high, self._reference() if best is None else best

    def _without(self, in_float: Sequence[QuantLayer]) -> list[QuantLayer]:
        names = {layer.name for layer in in_float}
        return [layer for layer in self.layers if layer.name not in names]


def _shortlist(distances: Mapping[QuantConfig, float]) -> list[QuantConfig]:
    """Orders the configs that are about as near as the nearest; those without SmoothQuant go first."""
    nearest = min(distances.values())
    near = [config for config in distances if distances[config] * NEAR <= nearest]
    return sorted(near, key=lambda config: (config.alpha is not None, distances[config]))[:SHORTLIST]


def _names(layers: Sequence[QuantLayer]) -> str:
    return hashlib.sha256(" ".join(layer.name for layer in layers).encode()).hexdigest()[:16]
