"""INT8 for a CPU: ONNX Runtime's integer kernels, with ranges and float layers as a search finds them."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from edge_lpr.bundle.manifest import DetSpec
from edge_lpr.calib.quantization.cpu.activations import HARD_LIMIT, find_gated
from edge_lpr.calib.quantization.cpu.bounds import Bounds, estimate_bounds
from edge_lpr.calib.quantization.cpu.equalization import equalize
from edge_lpr.calib.quantization.cpu.lowering import lower
from edge_lpr.calib.quantization.cpu.mean_shift import Probe, correct_means
from edge_lpr.calib.quantization.cpu.qdq import convolutions, insert_qdq, watched
from edge_lpr.calib.quantization.cpu.small_plates import compare_small_plates
from edge_lpr.calib.quantization.cpu.text_windows import near_text, text_windows
from edge_lpr.calib.quantization.job import Job
from edge_lpr.calib.quantization.layers import HEAVY_TYPES, QuantLayer, find_layers, observe_shapes
from edge_lpr.calib.quantization.objectives import DetObjective
from edge_lpr.calib.quantization.range_estimator import RangeEstimator, TensorStats, observe
from edge_lpr.calib.quantization.search import QuantConfig, Search, SearchResult
from edge_lpr.onnx_graph.graph import OnnxGraph
from edge_lpr.types import Part, Tick

__all__ = ["CONFIGS", "FLOAT_BUDGETS", "CpuSearch", "CpuTarget", "make"]

CONFIGS = (
    QuantConfig("max", 0.5),
    QuantConfig("percentile", 0.5),
    QuantConfig("mse", 0.5),
    QuantConfig("percentile", None),
)
FLOAT_BUDGETS: Mapping[Part, float] = {"det": 0.0, "rec": 0.0}
"""What may stay in float though accuracy is good enough without, in per cent of the values that layers make
(`CpuTarget.float_costs`): that is about what they add to INT8's time. On the default detector five layers
make half of the noise, with 19 % of the values."""
# Every map of the network is looked at, twice as many as there are layers.
_BATCHES = 48
# Small plates that the means, and how far the map moves, are measured on; batches of plates cut out.
_PROBES, _PROBE_CROPS = 32, 4
# Pixels around text whose means count, too.
_REACH = 4
# Models kept at hand: those that a search asks for more than once.
_KEPT = 8


class CpuTarget:
    """The rules of ONNX Runtime's integer kernels; see `Target`."""

    name = "cpu"
    float_bytes = 4
    keeps_products = True
    cost_unit = "values"

    def refused(self, graph: OnnxGraph, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, str]:
        """See `Target.refused`."""
        gaining = {layer.name for layer in convolutions(graph)}
        why = "no convolution over a map: there is no integer kernel that would gain by it"
        return {layer.name: why for layer in find_layers(graph) if layer.name not in gaining}

    def float_costs(self, graph: OnnxGraph, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
        """See `Target.float_costs`: the values that each makes.

        In float these go through the activation in passes of their own, and are converted. On the default
        detector a layer's share of them is about the share that it adds to INT8's time; that of the
        multiply-adds tells nothing.
        """
        return {n.name: math.prod(shapes[n.output[0]]) for n in graph.nodes if n.op_type in HEAVY_TYPES}

    def tensors(self, graph: OnnxGraph, layers: Sequence[QuantLayer]) -> dict[str, int | None]:
        """See `Target.tensors`: all maps, since what stands between the layers is quantized too."""
        return watched(graph)

    def insert(self, graph: OnnxGraph, layers: Sequence[QuantLayer], ranges: Mapping[str, float]) -> None:
        """See `Target.insert`; `CpuSearch.build` has ranges of two ends, and corrects means."""
        insert_qdq(graph, {layer.name for layer in layers}, lambda name: (-ranges[name], ranges[name]))


class CpuSearch(Search):
    """The search over one network, given as `lower` leaves it, with ranges that need not be symmetric.

    Args:
        given: What `Search` takes.
        probes: What means are corrected on.
        gained: Says how many small plates more than FP32 a model finds, of those that may lead the search;
            None for a network that has none.
    """

    def __init__(
        self,
        *given: Any,  # noqa: ANN401 - typed where it goes
        probes: Sequence[Probe] = (),
        gained: Callable[[onnx.ModelProto], int] | None = None,
    ) -> None:
        super().__init__(*given)
        self.probes, self.gained = probes, gained
        self._built: dict[tuple[QuantConfig, frozenset[str]], onnx.ModelProto] = {}

    def build(self, config: QuantConfig, layers: Sequence[QuantLayer]) -> onnx.ModelProto:
        """Quantizes some convolutions of the network, and what stands between them, by a config."""
        key = config, frozenset(layer.name for layer in layers)
        if key not in self._built:
            if len(self._built) == _KEPT:
                del self._built[next(iter(self._built))]
            self._built[key] = self._build(*key)
        return self._built[key]

    def _build(self, config: QuantConfig, names: Collection[str]) -> onnx.ModelProto:
        graph = OnnxGraph(self.model)
        stats = dict(self.stats)
        if config.alpha is not None:
            equalize(graph, names, stats, config.alpha)
        reference = graph.to_model("float")
        insert_qdq(graph, names, _Ranges(graph, stats, config.range_estimator))
        correct_means(graph, reference, self.probes)
        return graph.to_model("int8")

    def shortlist(
        self, distances: Mapping[QuantConfig, float], in_float: Sequence[QuantLayer]
    ) -> list[QuantConfig]:
        """Orders the nearest configs by what they find of small plates; see `Search.shortlist`."""
        near = super().shortlist(distances, in_float)
        gains = {config: self._gain(config, self._without(in_float)) for config in near}
        return sorted(near, key=lambda config: (-gains[config], distances[config]))

    def _gain(self, config: QuantConfig, layers: Sequence[QuantLayer]) -> float:
        gained = self.gained
        if gained is None:
            return 0
        gain = self.cache.get(
            self.key("small plates", config, layers), lambda: gained(self.build(config, layers))
        )
        self.report(f"{config}: {gain:+.0f} small plates of the calibration beside FP32")
        return gain


class _Ranges:
    """Gives the range of each activation: that of a hard-swish need not reach below where it is 0."""

    def __init__(self, graph: OnnxGraph, stats: Mapping[str, TensorStats], estimator: RangeEstimator) -> None:
        self.stats, self.estimator = stats, estimator
        self.lowest: dict[str, NDArray[np.float32]] = {}
        for activation in find_gated(graph).values():
            own = {activation.output, *(name for node in activation.inner for name in node.output)}
            if activation.kind == "hard" and all(
                node.output[0] in own for node in graph.consumers(activation.source)
            ):
                scale = np.ones(1) if activation.scale is None else graph.constants[activation.scale]
                self.lowest[activation.source] = np.asarray(-HARD_LIMIT / scale.reshape(-1, 1), np.float32)

    def __call__(self, name: str) -> Bounds:
        sample = self.stats[name].sample
        if name in self.lowest:
            sample = np.maximum(sample, self.lowest[name])
        return estimate_bounds(sample, self.estimator)


def make(job: Job, tick: Tick) -> tuple[onnx.ModelProto, dict[str, Any]]:
    """Makes the INT8 model for a CPU of one part; see `edge_lpr.calib.quantization.job`."""
    graph = OnnxGraph(job.model)
    lower(graph)
    model = graph.to_model(job.part)
    graph = OnnxGraph(model)
    target = CpuTarget()
    objective, probes = job.objective, [Probe(batch) for batch in job.inputs[:_PROBE_CROPS]]
    if isinstance(objective, DetObjective):
        # How far the map moves counts where plates are lost first.
        windows = text_windows(objective, job.model, job.data.scenes, _PROBES)
        probes = [Probe(w.image, near_text(w.prob, _REACH)) for w in windows]
        objective = replace(
            objective, inputs=[w.image for w in windows], references=[w.prob for w in windows]
        )
    scenes = job.inputs[:: max(1, len(job.inputs) // _BATCHES)][:_BATCHES]
    search = CpuSearch(
        model,
        observe(model, target.tensors(graph, ()), [*scenes, *(probe.batch for probe in probes)], tick),
        observe_shapes(graph, job.inputs[0]),
        objective,
        job.cache,
        lambda line: job.report(f"{job.part} int8-cpu: {line}"),
        target,
        probes=probes,
        gained=partial(_gained, objective.spec, job) if isinstance(objective, DetObjective) else None,
    )
    found = search.run(
        budget=job.options.budget / 100,
        float_budget=job.options.float_share(FLOAT_BUDGETS[job.part]),
        size_budget=1.0,  # time is what it is for
        configs=CONFIGS,
    )
    budget: dict[str, Any] = {"points": job.options.budget, "kept": _keeps(job, found)}
    if isinstance(job.objective, DetObjective):
        small = _judged_on_small_plates(job, job.objective.spec, found.model, tick)
        budget |= {"kept": budget["kept"] and small["kept"], "small_plates": small}
    return found.model, {
        "range_estimator": found.config.range_estimator,
        "equalization_alpha": found.config.alpha,
        "int8_multiply_adds": round(found.int8_share, 4),
        "layers": len(search.layers) + len(search.refused),
        "float_type": "float32",
        "float_layers": [{"layer": name, "why": why} for name, why in found.float_layers.items()],
        "accuracy": job.measured("int8-cpu", found.accuracy),
        "budget": budget,
    }


def _gained(spec: DetSpec, job: Job, model: onnx.ModelProto) -> int:
    paired = compare_small_plates(spec, job.model, model, job.data.scenes)
    return paired.won - paired.lost


def _keeps(job: Job, found: SearchResult) -> bool:
    """Tells whether the accuracy on the validation images is within the budget; one plate is chance there."""
    return found.accuracy >= found.reference - job.options.budget / 100 - 1 / job.objective.items - 1e-9


def _judged_on_small_plates(job: Job, spec: DetSpec, model: onnx.ModelProto, tick: Tick) -> dict[str, Any]:
    """Judges a detector on small plates too, where no plate is chance: there are enough of them.

    Returns:
        What `bundle.json` is to say of it: plates shown, those that FP32 or INT8 alone finds, the lower end
        of the difference's 95 % confidence interval in points, and whether the loss is within the budget.
    """
    paired = compare_small_plates(spec, job.model, model, job.data.validation, tick)
    kept = paired.items == 0 or -paired.difference <= job.options.budget / 100 + 1e-9
    found = f"{paired.items} small plates: {paired.lost} found by FP32 alone, {paired.won} by INT8 alone"
    if kept:
        job.report(f"det int8-cpu: {found}")
    else:
        job.warn(
            f"det int8-cpu: {found}, a loss of {-100 * paired.difference:.1f} points, more than "
            f"{job.options.budget:g}: --precision auto leaves it out"
        )
    low = round(100 * paired.low, 2)
    counts = {"items": paired.items, "lost": paired.lost, "won": paired.won, "low_points": low}
    return counts | {"kept": kept}
