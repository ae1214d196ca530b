from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from helpers import networks

from edge_lpr.backends.onnxruntime import OnnxRuntimeBackend
from edge_lpr.calib.quantization.layers import find_layers, observe_shapes, watch
from edge_lpr.calib.quantization.range_estimator import observe
from edge_lpr.calib.quantization.search import QUANT_CONFIGS, Cache, QuantConfig, Search, cache_key
from edge_lpr.onnx_graph.graph import OnnxGraph


class Nearness:
    """A task whose accuracy falls as the output moves; counts how often it is asked."""

    items = 10**9

    def __init__(self, model: onnx.ModelProto) -> None:
        self.batch = networks.batches(1, seed=5)[0]
        self.reference = self.output(model)
        self.asked = 0

    def output(self, model: onnx.ModelProto) -> np.ndarray:
        return OnnxRuntimeBackend(model.SerializeToString()).run({"image": self.batch})["out"]

    def distance(self, model: onnx.ModelProto) -> float:
        self.asked += 1
        return float(np.abs(self.output(model) - self.reference).mean())

    def accuracy(self, model: onnx.ModelProto) -> float:
        self.asked += 1
        return 1 - float(np.abs(self.output(model) - self.reference).mean())


def search(cache: Cache, lines: list[str]) -> tuple[Search, Nearness]:
    model = networks.spread_network()
    graph = OnnxGraph(model)
    shapes = observe_shapes(graph, networks.batches(1)[0])
    stats = observe(model, watch(find_layers(graph)), networks.batches())
    task = Nearness(model)
    return Search(model, stats, shapes, task, cache, lines.append), task


def test_all_layers_where_the_budget_allows() -> None:
    lines: list[str] = []
    searcher, _ = search(Cache(None), lines)
    found = searcher.run(0.05)
    assert found.kept == {}
    assert found.share == 1
    assert found.accuracy >= found.reference - 0.05
    assert found.recipe.alpha is not None  # two channels a hundred times the others: scales must move
    assert set(found.distances) == {str(r) for r in QUANT_CONFIGS}
    assert sum("layers in INT8" in line for line in lines) == 1


def test_a_tight_budget_keeps_the_fewest_layers() -> None:
    lines: list[str] = []
    searcher, task = search(Cache(None), lines)
    everything = searcher.run(1.0)
    budget = (everything.reference - everything.accuracy) / 2
    found = searcher.run(budget)
    assert 0 < len(found.kept) < len(searcher.layers)
    assert found.accuracy >= found.reference - budget
    assert 0 < found.share < 1
    assert task.accuracy(found.model) == pytest.approx(found.accuracy)
    assert all("alone it moves" in why for why in found.kept.values())
    # One layer fewer in float would miss the budget.
    order = list(found.kept)
    chosen = [layer for layer in searcher.layers if layer.name not in order[:-1]]
    assert task.accuracy(searcher.build(found.recipe, chosen)) < found.reference - budget


def test_spare_multiply_adds_buy_less_noise() -> None:
    lines: list[str] = []
    searcher, task = search(Cache(None), lines)
    everything = searcher.run(1.0)
    assert everything.kept == {}
    found = searcher.run(1.0, spare=0.2, size=10)
    assert 0 < len(found.kept) < len(searcher.layers)
    assert 0.8 <= found.share < 1
    assert task.distance(found.model) < task.distance(everything.model)
    assert all("of the noise for" in why for why in found.kept.values())
    # Each of them carries its part of the noise; the layers that carry none are not worth the conversions.
    alone = {la.name: task.distance(searcher.build(found.recipe, [la])) ** 2 for la in searcher.layers}
    assert all(alone[name] >= 0.01 * sum(alone.values()) for name in found.kept)
    # So small a network has larger names than weights: INT8 is over 40 % of its size as it is.
    assert searcher.run(1.0, spare=0.2).kept == {}


def test_fewer_layers_stay_in_float_where_more_bring_the_output_no_nearer() -> None:
    """In a bistable network noise does not add up."""
    searcher, task = search(Cache(None), [])
    layers = len(searcher.layers)
    asked: list[int] = []

    def distance(model: onnx.ModelProto) -> float:
        quantized = sum(n.op_type in ("Conv", "ConvTranspose", "MatMul") for n in model.graph.node) - sum(
            n.input[1] in float_weights(model) for n in model.graph.node if len(n.input) > 1
        )
        asked.append(layers - quantized)
        return 2.0 if layers - quantized > 1 else 0.5 if layers - quantized == 1 else 1.0

    task.distance = distance  # type: ignore[method-assign]
    recipe = QUANT_CONFIGS[0]
    alone = {layer.name: 1.0 for layer in searcher.layers}
    kept = searcher._noisiest(recipe, alone, spare=1.0, size=10)
    assert len(kept) == 1
    assert asked[0] == 0
    assert asked[1:] == sorted(asked[1:], reverse=True)
    assert searcher._noisiest(recipe, alone, spare=0.0, size=10) == []


def float_weights(model: onnx.ModelProto) -> set[str]:
    """Names of the constants that layers left in float multiply with."""
    constants = {t.name for t in model.graph.initializer}
    heavy = [n for n in model.graph.node if n.op_type in ("Conv", "ConvTranspose", "MatMul")]
    return {n.input[1] for n in heavy if n.input[1] in constants}


def test_nothing_is_measured_twice(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "cache.json"
    first, task = search(Cache(path), [])
    before = first.run(1e-5)
    assert task.asked > 0
    cache = Cache(path)
    second, untouched = search(cache, [])
    after = second.run(1e-5)
    assert untouched.asked == 0
    assert len(cache.remembered) == task.asked
    assert after.kept == before.kept
    assert after.model.SerializeToString() == before.model.SerializeToString()


def test_interrupted_it_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "cache.json"
    searcher, task = search(Cache(path), [])
    distance = task.distance

    def stop(model: onnx.ModelProto) -> float:
        if task.asked == 3:
            raise KeyboardInterrupt
        return distance(model)

    task.distance = stop  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        searcher.run(1.0)
    assert len(json.loads(path.read_text())) == 3
    again, rest = search(Cache(path), [])
    again.run(1.0)
    assert rest.asked == len(QUANT_CONFIGS) + 2 - 3


def test_a_damaged_cache_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "cache.json"
    for content in ("{", "[1]", '{"fp32": "x"}'):
        path.write_text(content)
        cache = Cache(path)
        assert cache.get("fp32", lambda: 0.5) == 0.5
        assert json.loads(path.read_text()) == {"fp32": 0.5}
    blocked = Cache(tmp_path / "cache.json" / "below")
    assert blocked.get("a", lambda: 1.0) == 1.0


def test_keys_depend_on_every_part() -> None:
    keys = {cache_key("a", "b"), cache_key("ab", ""), cache_key(b"a", "c"), cache_key("a")}
    assert len(keys) == 4
    assert str(QuantConfig("mse", None)) != str(QuantConfig("mse", 0.5))
