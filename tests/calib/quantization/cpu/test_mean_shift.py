"""What rounding does to the means of a quantized graph is taken back, where it counts."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers import networks

from edge_lpr.calib.quantization.cpu.bounds import estimate_bounds
from edge_lpr.calib.quantization.cpu.mean_shift import Probe, correct_means
from edge_lpr.calib.quantization.cpu.qdq import convolutions, insert_qdq
from edge_lpr.calib.quantization.range_estimator import TensorStats
from edge_lpr.calib.quantization.taps import TappedModel
from edge_lpr.onnx_graph.graph import OnnxGraph

LAST = "Conv_5"
"""The last convolution of the network over a map."""


def quantized(lowered: onnx.ModelProto, seen: dict[str, TensorStats]) -> OnnxGraph:
    """All convolutions in INT8, with ranges too narrow for the largest values: the means are shifted."""
    graph = OnnxGraph(lowered)
    names = [layer.name for layer in convolutions(graph)]

    def narrow(name: str) -> tuple[float, float]:
        low, high = estimate_bounds(seen[name].sample, "max")
        return low, 0.6 * high

    insert_qdq(graph, names, narrow)
    return graph


def shift(
    graph: OnnxGraph, lowered: onnx.ModelProto, batch: np.ndarray, where: np.ndarray | None = None
) -> float:
    """How far the means of the last convolution's channels are from the float model's."""
    name = next(node.output[0] for node in lowered.graph.node if node.name == LAST)
    got = next(node.output[0] for node in graph.nodes if node.name == LAST)
    change = (
        TappedModel(graph.part(got), [got]).run(batch)[got] - TappedModel(lowered, [name]).run(batch)[name]
    )
    # The map has the image's size: a place of the one is a place of the other.
    counted = np.ones(change.shape[::2][:1] + change.shape[2:]) if where is None else where
    return float(np.abs(np.einsum("nchw,nhw->c", change, counted) / counted.sum()).max())


def test_the_means_are_those_of_the_float_model(
    lowered: onnx.ModelProto, seen: dict[str, TensorStats]
) -> None:
    batches = networks.batches()
    graph = quantized(lowered, seen)
    before = shift(graph, lowered, batches[0])
    assert correct_means(graph, lowered, [Probe(batches[0])]) == len(convolutions(OnnxGraph(lowered)))
    assert shift(graph, lowered, batches[0]) < 0.05 * before
    # What is not measured on gains, too.
    other = networks.batches(1, seed=7)[0]
    assert shift(graph, lowered, other) < 0.5 * shift(quantized(lowered, seen), lowered, other)
    graph.to_model("whole")


def test_places_count_by_their_weight(lowered: onnx.ModelProto, seen: dict[str, TensorStats]) -> None:
    batch = networks.batches()[0].copy()
    batch[:, :8] = 250
    where = np.zeros(batch.shape[:3], np.float32)
    where[:, :8] = 1
    by_place, by_all = quantized(lowered, seen), quantized(lowered, seen)
    correct_means(by_place, lowered, [Probe(batch, where)])
    correct_means(by_all, lowered, [Probe(batch)])
    assert shift(by_place, lowered, batch, where) < 0.2 * shift(by_all, lowered, batch, where)


def test_nothing_is_corrected_without_probes_or_where_none_counts(
    lowered: onnx.ModelProto, seen: dict[str, TensorStats]
) -> None:
    graph = quantized(lowered, seen)
    before = {name: value.copy() for name, value in graph.constants.items()}
    assert correct_means(graph, lowered, []) == 0
    batch = networks.batches()[0]
    correct_means(graph, lowered, [Probe(batch, np.zeros(batch.shape[:3], np.float32))])
    for name, value in before.items():
        np.testing.assert_array_equal(graph.constants[name], value)
    assert correct_means(OnnxGraph(lowered), lowered, [Probe(batch)]) == 0


@pytest.mark.parametrize("index", [0, -1])
def test_a_part_of_a_graph_makes_what_the_whole_does(lowered: onnx.ModelProto, index: int) -> None:
    graph = OnnxGraph(lowered)
    name = [node.output[0] for node in graph.nodes if node.op_type == "Conv"][index]
    count = len(graph.nodes)
    part = graph.part(name)
    assert len(part.graph.node) < count == len(graph.nodes)
    batch = networks.batches()[0]
    np.testing.assert_array_equal(
        TappedModel(part, [name]).run(batch)[name], TappedModel(lowered, [name]).run(batch)[name]
    )
