"""The small network as the quantization for a CPU is given it, and what was seen of it."""

from __future__ import annotations

import onnx
import pytest
from helpers import networks

from edge_lpr.calib.quantization.cpu.lowering import lower
from edge_lpr.calib.quantization.cpu.qdq import watched
from edge_lpr.calib.quantization.range_estimator import TensorStats, observe
from edge_lpr.onnx_graph.graph import OnnxGraph


@pytest.fixture(scope="module")
def lowered() -> onnx.ModelProto:
    graph = OnnxGraph(networks.spread_network())
    lower(graph)
    return graph.to_model("lowered")


@pytest.fixture(scope="module")
def seen(lowered: onnx.ModelProto) -> dict[str, TensorStats]:
    return observe(lowered, watched(OnnxGraph(lowered)), networks.batches())
