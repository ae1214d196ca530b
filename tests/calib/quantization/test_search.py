"""How layers are quantized and which stay in float is found by what the network is for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import onnx
import pytest
from helpers import networks

from edge_lpr.calib.quantization.cache import Cache
from edge_lpr.calib.quantization.layers import find_layers, observe_shapes, watch
from edge_lpr.calib.quantization.range_estimator import observe
from edge_lpr.calib.quantization.search import QUANT_CONFIGS, Search
from edge_lpr.calib.quantization.sensitivity import Sensitivity
from edge_lpr.calib.quantization.tensorrt_target import TensorRTTarget
from edge_lpr.onnx_graph.graph import OnnxGraph


class AllLayers(TensorRTTarget):
    """Refuses no layer of so small a network, and lets SmoothQuant do what it can."""

    float_bytes = 4
    keeps_products = True

    def refused(self, graph: OnnxGraph, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, str]:
        return {}


def search(cache: Cache, lines: list[str]) -> tuple[Search, networks.Nearness]:
    model = networks.spread_network()
    graph = OnnxGraph(model)
    shapes = observe_shapes(graph, networks.batches(1)[0])
    stats = observe(model, watch(find_layers(graph)), networks.batches())
    objective = networks.Nearness(model)
    return Search(model, stats, shapes, objective, cache, lines.append, AllLayers()), objective


def test_all_layers_where_the_budget_allows() -> None:
    lines: list[str] = []
    searcher, _ = search(Cache(None), lines)
    found = searcher.run(0.05)
    assert found.float_layers == {}
    assert found.int8_share == 1
    assert found.accuracy >= found.reference - 0.05
    assert found.config.alpha is not None  # two channels a hundred times the others: scales must move
    tried = [line.partition(":")[0] for line in lines if "output moves by" in line]
    assert tried == [str(config) for config in QUANT_CONFIGS]
    assert sum("layers in INT8" in line for line in lines) == 1


def test_a_tight_budget_leaves_the_fewest_layers_in_float() -> None:
    lines: list[str] = []
    searcher, objective = search(Cache(None), lines)
    everything = searcher.run(1.0)
    budget = (everything.reference - everything.accuracy) / 2
    found = searcher.run(budget)
    assert 0 < len(found.float_layers) < len(searcher.layers)
    assert found.accuracy >= found.reference - budget
    assert 0 < found.int8_share < 1
    assert objective.accuracy(found.model) == pytest.approx(found.accuracy)
    assert all("alone it moves" in why for why in found.float_layers.values())
    # One layer fewer in float would miss the budget.
    order = list(found.float_layers)
    chosen = [layer for layer in searcher.layers if layer.name not in order[:-1]]
    assert objective.accuracy(searcher.build(found.config, chosen)) < found.reference - budget


def test_a_float_budget_buys_less_noise() -> None:
    lines: list[str] = []
    searcher, objective = search(Cache(None), lines)
    everything = searcher.run(1.0)
    assert everything.float_layers == {}
    found = searcher.run(1.0, float_budget=0.2, size_budget=10)
    assert 0 < len(found.float_layers) < len(searcher.layers)
    assert 0.8 <= found.int8_share < 1
    assert objective.distance(found.model) < objective.distance(everything.model)
    assert all("of the noise for" in why for why in found.float_layers.values())
    # Each of them carries its part of the noise; the layers that carry none are not worth the conversions.
    alone = {la.name: objective.distance(searcher.build(found.config, [la])) ** 2 for la in searcher.layers}
    assert all(alone[name] >= 0.01 * sum(alone.values()) for name in found.float_layers)
    # So small a network has larger names than weights: INT8 is over 40 % of its size as it is.
    assert searcher.run(1.0, float_budget=0.2).float_layers == {}


def test_fewer_layers_stay_in_float_where_more_bring_the_output_no_nearer() -> None:
    """In a bistable network noise does not add up."""
    searcher, objective = search(Cache(None), [])
    layers = len(searcher.layers)
    asked: list[int] = []

    def distance(model: onnx.ModelProto) -> float:
        quantized = sum(n.op_type in ("Conv", "ConvTranspose", "MatMul") for n in model.graph.node) - sum(
            n.input[1] in float_weights(model) for n in model.graph.node if len(n.input) > 1
        )
        asked.append(layers - quantized)
        return 2.0 if layers - quantized > 1 else 0.5 if layers - quantized == 1 else 1.0

    objective.distance = distance  # type: ignore[method-assign]
    config = QUANT_CONFIGS[0]
    sensitivity = Sensitivity({layer.name: 1.0 for layer in searcher.layers}, searcher.costs)
    chosen = searcher._most_sensitive(config, sensitivity, float_budget=1.0, size_budget=10)
    assert len(chosen) == 1
    assert asked[0] == 0
    assert asked[1:] == sorted(asked[1:], reverse=True)
    assert searcher._most_sensitive(config, sensitivity, float_budget=0.0, size_budget=10) == []


def float_weights(model: onnx.ModelProto) -> set[str]:
    """Names of the constants that layers left in float multiply with."""
    constants = {t.name for t in model.graph.initializer}
    heavy = [n for n in model.graph.node if n.op_type in ("Conv", "ConvTranspose", "MatMul")]
    return {n.input[1] for n in heavy if n.input[1] in constants}


def test_nothing_is_measured_twice(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "cache.json"
    first, objective = search(Cache(path), [])
    before = first.run(1e-5)
    assert objective.asked > 0
    cache = Cache(path)
    second, untouched = search(cache, [])
    after = second.run(1e-5)
    assert untouched.asked == 0
    assert len(cache.remembered) == objective.asked
    assert after.float_layers == before.float_layers
    assert after.model.SerializeToString() == before.model.SerializeToString()


def test_interrupted_it_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "cache.json"
    searcher, objective = search(Cache(path), [])
    distance = objective.distance

    def stop(model: onnx.ModelProto) -> float:
        if objective.asked == 3:
            raise KeyboardInterrupt
        return distance(model)

    objective.distance = stop  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        searcher.run(1.0)
    assert len(json.loads(path.read_text())) == 3
    again, rest = search(Cache(path), [])
    again.run(1.0)
    assert rest.asked == len(QUANT_CONFIGS) + 2 - 3
