"""The search by the rules of a CPU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from helpers import networks
from helpers.cpu_graphs import operators, quantized_convolutions
from onnx import numpy_helper

from edge_lpr.calib.quantization.cache import Cache
from edge_lpr.calib.quantization.cpu.int8 import CONFIGS, CpuSearch, CpuTarget
from edge_lpr.calib.quantization.cpu.mean_shift import Probe
from edge_lpr.calib.quantization.layers import observe_shapes
from edge_lpr.calib.quantization.range_estimator import TensorStats
from edge_lpr.onnx_graph.graph import OnnxGraph


def search(
    lowered: onnx.ModelProto, seen: dict[str, TensorStats], cache: Cache
) -> tuple[CpuSearch, networks.Nearness]:
    shapes = observe_shapes(OnnxGraph(lowered), networks.batches(1)[0])
    objective = networks.Nearness(lowered)
    return CpuSearch(lowered, seen, shapes, objective, cache, lambda line: None, CpuTarget()), objective


def test_layers_stay_in_float_where_accuracy_needs_it(
    lowered: onnx.ModelProto, seen: dict[str, TensorStats], tmp_path: Path
) -> None:
    cache = Cache(None)
    searcher, _ = search(lowered, seen, cache)
    everything = searcher.run(1.0, configs=CONFIGS)
    refused = searcher.refused
    assert everything.float_layers == refused and 0.5 < everything.int8_share < 1
    found = searcher.run((everything.reference - everything.accuracy) / 2, configs=CONFIGS)
    assert len(refused) < len(found.float_layers) < len(refused) + len(searcher.layers)
    assert found.accuracy > everything.accuracy
    quantized = quantized_convolutions(found.model)
    assert len(quantized) == len(refused) + len(searcher.layers) - len(found.float_layers)
    assert operators(found.model.SerializeToString(), tmp_path)["QLinearConv"] == len(quantized)
    # Beside TensorRT's, whose figures are others: only FP32's is both's.
    assert {key.partition("|")[0] for key in cache.values} == {"fp32", "cpu"}


def test_the_same_is_made_again(lowered: onnx.ModelProto, seen: dict[str, TensorStats]) -> None:
    first, _ = search(lowered, seen, Cache(None))
    again, _ = search(lowered, seen, Cache(None))
    layers = first.layers
    one = first.build(CONFIGS[2], layers).SerializeToString()
    assert one == again.build(CONFIGS[2], layers).SerializeToString()


def test_of_the_nearest_that_goes_first_which_finds_most_small_plates(
    lowered: onnx.ModelProto, seen: dict[str, TensorStats]
) -> None:
    searcher, _ = search(lowered, seen, Cache(None))
    distances = {config: 1.0 + i / 100 for i, config in enumerate(CONFIGS)} | {CONFIGS[0]: 99.0}
    assert searcher.shortlist(distances, [])[0] == CONFIGS[1]
    # The same model is built once: the second best finds most, the others as many as FP32.
    best = searcher.build(CONFIGS[2], searcher.layers)
    searcher.gained = lambda model: 3 if model is best else 0
    assert searcher.shortlist(distances, []) == [CONFIGS[2], CONFIGS[1], CONFIGS[3]]


def test_means_are_corrected_on_the_probes(lowered: onnx.ModelProto, seen: dict[str, TensorStats]) -> None:
    plain, _ = search(lowered, seen, Cache(None))
    corrected, _ = search(lowered, seen, Cache(None))
    corrected.probes = [Probe(batch) for batch in networks.batches()]
    one, other = (
        {t.name: numpy_helper.to_array(t) for t in s.build(CONFIGS[0], s.layers).graph.initializer}
        for s in (plain, corrected)
    )
    moved = {name for name, value in one.items() if not np.array_equal(value, other[name])}
    # Nothing but the integer biases, and of every quantized convolution.
    assert len(moved) == len(plain.layers) and {one[name].dtype for name in moved} == {np.dtype(np.int32)}
