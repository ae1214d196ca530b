"""The search by the rules of a CPU."""

from __future__ import annotations

from pathlib import Path

import onnx
from helpers import networks
from helpers.cpu_graphs import operators, quantized_convolutions

from edge_lpr.calib.quantization.cache import Cache
from edge_lpr.calib.quantization.cpu.int8 import CONFIGS, CpuSearch, CpuTarget
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
