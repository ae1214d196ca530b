"""Finds how to quantize a network: first the cure for all layers, then the layers that must stay in float.

A `QuantConfig` is tried by how far the network's output moves from FP32's (`Objective.distance`): that is a smooth
figure and a few images give it. What is promised, and what the budget is about, is the task's own accuracy
on labelled images (`Objective.accuracy`), which chooses among the nearest recipes.

Accuracy on some hundred plates does not see the noise that pushes the next doubtful plate over a threshold;
the distance does. So layers are also tried one by one, each alone in INT8. Their distances add up like
independent noise, by their squares (on the default bundle to within a quarter), and a few layers with few
multiply-adds make most of it: the first ones, the last ones, depthwise ones. These stay in float, noisiest
for their cost first, up to a share of the multiply-adds and a size of the file. Where the budget is missed
even so, more of them do, as few as keep it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import onnx

from edge_lpr.calib.quantization.bias_correction import correct_biases
from edge_lpr.calib.quantization.layers import QuantLayer, find_layers, multiply_adds
from edge_lpr.calib.quantization.qdq import insert_qdq
from edge_lpr.calib.quantization.range_estimator import Method, TensorStats, fit_range
from edge_lpr.calib.quantization.smooth_quant import equalize
from edge_lpr.errors import OutputError
from edge_lpr.io.atomic_io import write_bytes
from edge_lpr.onnx_graph.graph import OnnxGraph

# Recipes within this ratio of the nearest one's distance count as equals: their accuracy decides.
NEAR = 0.75
SHORTLIST = 4
# A layer that makes less than this share of the noise gains nothing in float.
NOTABLE = 0.01
# Share of FP32's size that the INT8 file may grow to with layers in float; promised are 40 %.
SIZE = 0.39
FLOAT_BYTES = 4
# Changes here make what an older version measured worthless.
CACHE_VERSION = 4


class Objective(Protocol):
    """What a network is for, on fixed images.

    Attributes:
        items: Plates that accuracy is a share of. One more or less is chance: layers are not given up for it.
    """

    @property
    def items(self) -> int:
        """See the class."""
        ...

    def distance(self, model: onnx.ModelProto) -> float:
        """Returns how far the output moves from FP32's on a few images, 0 or more."""
        ...

    def accuracy(self, model: onnx.ModelProto) -> float:
        """Returns the task's accuracy on the validation images, 0 to 1."""
        ...


@dataclass(frozen=True)
class QuantConfig:
    """How the layers are quantized.

    Attributes:
        method: How activation ranges are chosen.
        alpha: Share of the channels' spread that moves into the weights; None moves nothing.
    """

    method: Method
    alpha: float | None

    def __str__(self) -> str:
        moved = "no scales moved" if self.alpha is None else f"scales moved with alpha {self.alpha}"
        return f"{self.method} ranges, {moved}"


ALPHAS = (0.4, 0.5, 0.6, 0.7, 0.8)
FITTED: tuple[Method, ...] = ("mse", "percentile")
# A network can be bistable: on padded crops, PP-OCRv3's recognizer puts out visibly other probabilities when
# the weights of one early convolution change by 0.3 %. Which side a recipe ends on is then chance, and
# several neighbours that are as good in principle are as many tries.
QUANT_CONFIGS: tuple[QuantConfig, ...] = (
    QuantConfig("mse", None),
    QuantConfig("percentile", None),
    *(QuantConfig(method, alpha) for alpha in ALPHAS for method in FITTED),
)


@dataclass
class SearchResult:
    """What a search ends with.

    Attributes:
        model: The INT8 model.
        recipe: How its layers are quantized.
        kept: Layers left in float, and why.
        share: Share of the network's multiply-adds that run in INT8, 0 to 1.
        accuracy: The task's accuracy, 0 to 1.
        reference: That of FP32.
        distances: Of each recipe that was tried.
    """

    model: onnx.ModelProto
    recipe: QuantConfig
    kept: dict[str, str]
    share: float
    accuracy: float
    reference: float
    distances: dict[str, float] = field(default_factory=dict)


class Cache:
    """Figures measured before, in a JSON file that is rewritten after each new one.

    Args:
        path: The file; None remembers nothing.

    Attributes:
        remembered: Keys that were asked for and stood in the file.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.values: dict[str, float] = {}
        self.remembered: set[str] = set()
        if path is not None and path.is_file():
            try:
                stored = json.loads(path.read_text(encoding="utf-8"))
                self.values = {str(k): float(v) for k, v in stored.items()}
            except (OSError, ValueError, AttributeError, TypeError):
                self.values = {}  # a damaged cache is as good as none
        self._stored = frozenset(self.values)

    def get(self, key: str, measure: Callable[[], float]) -> float:
        """Returns a figure, measured now if it never was."""
        if key in self._stored:
            self.remembered.add(key)
        if key not in self.values:
            self.values[key] = measure()
            if self.path is not None:
                try:
                    self.path.parent.mkdir(parents=True, exist_ok=True)
                    write_bytes(self.path, json.dumps(self.values, indent=0).encode())
                except (OSError, OutputError):
                    self.path = None  # remembering is a convenience; the search goes on without
        return self.values[key]


def cache_key(*parts: bytes | str) -> str:
    """Returns a digest of everything that the figures of a search depend on."""
    digest = hashlib.sha256(str(CACHE_VERSION).encode())
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()


class Search:
    """The search over one network.

    Args:
        model: The FP32 model.
        stats: What was seen of the inputs of its layers (`edge_lpr.calib.quantization.layers.watch`).
        shapes: Shapes of its activations, for counting multiply-adds.
        task: What it is for.
        cache: Figures measured before.
        report: Called with a line for each step.
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        stats: Mapping[str, TensorStats],
        shapes: Mapping[str, tuple[int, ...]],
        task: Objective,
        cache: Cache,
        report: Callable[[str], None],
    ) -> None:
        self.model = model
        self.stats = stats
        self.task = task
        self.cache = cache
        self.report = report
        graph = OnnxGraph(model)
        self.layers = find_layers(graph)
        self.costs = multiply_adds(graph, shapes)
        self.weights = {
            la.name: graph.constants[la.weight].size for la in self.layers if la.weight is not None
        }

    def run(
        self,
        budget: float,
        spare: float = 0.0,
        size: float = SIZE,
        recipes: Sequence[QuantConfig] = QUANT_CONFIGS,
    ) -> SearchResult:
        """Finds the quantization.

        Args:
            budget: Accuracy that may be lost, 0 to 1.
            spare: Share of the multiply-adds that may stay in float for less noise even where the budget is
                kept without, 0 to 1.
            size: Share of FP32's bytes that the file may grow to with these layers, 0 to 1.
            recipes: What to try.
        """
        reference = self.cache.get("fp32", lambda: self.task.accuracy(self.model))
        self.report(f"FP32: {reference:.4f}")
        distances = {r: self._distance(r, self.layers) for r in recipes}
        for tried, distance in distances.items():
            self.report(f"{tried}: output moves by {distance:.5f}")
        near = _shortlist(distances)
        nearest = min(distances, key=lambda r: distances[r])
        alone = self._alone(nearest) if spare > 0 else {}
        kept = self._noisiest(nearest, alone, spare, size)
        accuracies: dict[QuantConfig, float] = {}
        for candidate in near:
            accuracies[candidate] = self._accuracy(candidate, self._without(kept))
            count = f"{len(self.layers) - len(kept)} of {len(self.layers)} layers in INT8"
            self.report(f"{count}, {candidate}: {accuracies[candidate]:.4f}")
            if accuracies[candidate] >= reference - budget:
                break
        recipe, accuracy = max(accuracies.items(), key=lambda item: item[1])
        wanted = reference - budget - 1 / self.task.items
        if accuracy < wanted:
            alone = alone or self._alone(recipe)
            more = [layer for layer in self._by_noise(alone) if layer not in kept]
            high, accuracy = self._fewest(recipe, kept + more, len(kept), wanted)
            kept = (kept + more)[:high]
        chosen = self._without(kept)
        share = sum(self.costs[layer.name] for layer in chosen) / max(sum(self.costs.values()), 1)
        by_recipe = {str(r): d for r, d in distances.items()}
        why = {layer.name: self._why(layer, alone) for layer in kept}
        return SearchResult(self.build(recipe, chosen), recipe, why, share, accuracy, reference, by_recipe)

    def build(self, recipe: QuantConfig, layers: Sequence[QuantLayer]) -> onnx.ModelProto:
        """Quantizes some layers of the network by a recipe."""
        graph = OnnxGraph(self.model)
        stats = dict(self.stats)
        names = {layer.name for layer in layers}
        if recipe.alpha is not None:
            # Layers that stay in float keep their weights too.
            for moved in equalize(graph, layers, stats, recipe.alpha):
                stats[moved.scaled] = stats[moved.tensor].divided(moved.scale)
        chosen = [layer for layer in find_layers(graph) if layer.name in names]
        used = {name for layer in chosen for name in layer.inputs}
        ranges = {name: fit_range(stats[name], recipe.method) for name in used}
        correct_biases(graph, chosen, stats, ranges)
        insert_qdq(graph, chosen, ranges)
        return graph.to_model("int8")

    def _distance(self, recipe: QuantConfig, layers: Sequence[QuantLayer]) -> float:
        key = f"distance|{recipe}|{_names(layers)}"
        return self.cache.get(key, lambda: self.task.distance(self.build(recipe, layers)))

    def _accuracy(self, recipe: QuantConfig, layers: Sequence[QuantLayer]) -> float:
        key = f"accuracy|{recipe}|{_names(layers)}"
        return self.cache.get(key, lambda: self.task.accuracy(self.build(recipe, layers)))

    def _by_noise(self, alone: Mapping[str, float]) -> list[QuantLayer]:
        """Orders the layers, those first that make most noise for their cost."""
        return sorted(self.layers, key=lambda la: -(alone[la.name] ** 2) / max(self.costs[la.name], 1))

    def _noisiest(
        self, recipe: QuantConfig, alone: Mapping[str, float], spare: float, size: float
    ) -> list[QuantLayer]:
        """Chooses the layers that stay in float for less noise; none where that does not lessen it."""
        if spare <= 0:
            return []
        noise = sum(d * d for d in alone.values())
        most = len(self.model.SerializeToString()) * size
        most -= len(self.build(recipe, self.layers).SerializeToString())
        total = max(sum(self.costs.values()), 1)
        # What a layer takes of either allowance, as a share of it.
        taken = {
            la.name: (self.costs[la.name] / total / spare, self._more_bytes(la) / max(most, 1))
            for la in self.layers
        }
        worth = sorted(self.layers, key=lambda la: -(alone[la.name] ** 2) / max(*taken[la.name], 1e-9))
        kept: list[QuantLayer] = []
        work = room = 0.0
        for layer in worth:
            more_work, more_size = taken[layer.name]
            if max(work + more_work, room + more_size) <= 1 and alone[layer.name] ** 2 >= NOTABLE * noise:
                kept.append(layer)
                work, room = work + more_work, room + more_size
        before = self._distance(recipe, self.layers)
        while kept:
            after = self._distance(recipe, self._without(kept))
            self.report(f"{len(kept)} layers in float: output moves by {after:.5f} in place of {before:.5f}")
            if after < before:
                break
            # In a bistable network noise does not add up: fewer layers can be nearer.
            kept = kept[: len(kept) // 2]
        return kept

    def _more_bytes(self, layer: QuantLayer) -> int:
        """Returns by how much the file grows with a layer's weight in FP32 in place of INT8."""
        if layer.weight is None:
            return 0
        return int(self.weights[layer.name] * (FLOAT_BYTES - 1))

    def _why(self, layer: QuantLayer, alone: Mapping[str, float]) -> str:
        noise = sum(d * d for d in alone.values())
        return (
            f"alone it moves the output by {alone[layer.name]:.5f}: "
            f"{alone[layer.name] ** 2 / max(noise, 1e-30):.1%} of the noise for "
            f"{self.costs[layer.name] / max(sum(self.costs.values()), 1):.2%} of the multiply-adds"
        )

    def _alone(self, recipe: QuantConfig) -> dict[str, float]:
        """Returns how far each layer, alone in INT8, moves the output."""
        alone = {}
        for i, layer in enumerate(self.layers, 1):
            alone[layer.name] = self._distance(recipe, [layer])
            moves = f"alone it moves the output by {alone[layer.name]:.5f}"
            self.report(f"layer {i} of {len(self.layers)}, {layer.name}: {moves}")
        return alone

    def _fewest(
        self, recipe: QuantConfig, ordered: Sequence[QuantLayer], low: int, wanted: float
    ) -> tuple[int, float]:
        """Returns how many of the first layers must stay in float, more than `low`, and the accuracy then."""
        high = len(ordered)  # `low` layers in float are too few, `high` are enough
        best: float | None = None
        while high - low > 1:
            # The answer is more often small: look at a quarter of the way first.
            middle = low + max(1, (high - low) // 4)
            accuracy = self._accuracy(recipe, self._without(ordered[:middle]))
            self.report(f"{middle} layers in float: {accuracy:.4f}")
            if accuracy >= wanted:
                high, best = middle, accuracy
            else:
                low = middle
        if best is None:
            best = self.cache.get("fp32", lambda: self.task.accuracy(self.model))
        return high, best

    def _without(self, kept: Sequence[QuantLayer]) -> list[QuantLayer]:
        names = {layer.name for layer in kept}
        return [layer for layer in self.layers if layer.name not in names]


def _shortlist(distances: Mapping[QuantConfig, float]) -> list[QuantConfig]:
    """Orders the recipes that are about as near as the nearest; one that moves no scales goes first."""
    nearest = min(distances.values())
    near = [r for r in distances if distances[r] * NEAR <= nearest]
    return sorted(near, key=lambda r: (r.alpha is not None, distances[r]))[:SHORTLIST]


def _names(layers: Sequence[QuantLayer]) -> str:
    return hashlib.sha256(" ".join(layer.name for layer in layers).encode()).hexdigest()[:16]
