"""Channels are brought to one range, and the network returns what it did."""

from __future__ import annotations

import numpy as np
import onnx
from helpers import networks

from edge_lpr.calib.quantization.cpu.activations import find_gated
from edge_lpr.calib.quantization.cpu.equalization import equalize
from edge_lpr.calib.quantization.cpu.qdq import watched
from edge_lpr.calib.quantization.range_estimator import TensorStats, observe
from edge_lpr.onnx_graph.graph import OnnxGraph


def gated_chain() -> onnx.ModelProto:
    """A convolution with two channels a hundred times the others, a hard-swish, and a convolution."""
    from onnx import helper

    rng = np.random.default_rng(1)
    scale = np.ones(8, np.float32)
    scale[:2] = 100
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["planar"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planar", "w0", "b0"], ["c0"]),
        helper.make_node("HardSigmoid", ["c0"], ["h0"], alpha=1 / 6, beta=0.5),
        helper.make_node("Mul", ["c0", "h0"], ["a0"]),
        helper.make_node("Conv", ["a0", "w1"], ["c1"]),
        helper.make_node("Relu", ["c1"], ["out"]),
    ]
    constants = {
        "w0": rng.standard_normal((8, 3, 1, 1)).astype(np.float32) * scale[:, None, None, None] / 100,
        "b0": rng.standard_normal(8).astype(np.float32),
        "w1": rng.standard_normal((4, 8, 1, 1)).astype(np.float32) / scale[None, :, None, None],
    }
    return networks.build(nodes, constants, "out", 4)


def test_a_hard_swish_goes_along() -> None:
    model = gated_chain()
    graph = OnnxGraph(model)
    stats: dict[str, TensorStats] = observe(model, watched(graph), networks.batches())
    names = [node.name for node in graph.nodes if node.op_type == "Conv"]
    before = stats["c0"].channel_max
    assert equalize(graph, names, stats, 0.7) == 1
    after = stats["c0"].channel_max
    assert before.max() / before.min() > 4 * after.max() / after.min()
    (activation,) = find_gated(graph).values()
    assert activation.scale is not None
    # What the gate multiplies with is exact in UINT8.
    factors = graph.constants[activation.scale].reshape(-1)
    levels = factors / factors.max() * 255
    np.testing.assert_allclose(levels, np.rint(levels), atol=1e-3)
    made = graph.to_model("equalized")
    np.testing.assert_allclose(networks.outputs(made), networks.outputs(model), rtol=1e-3, atol=1e-3)
    # What the statistics say is what is there now.
    seen = observe(made, watched(OnnxGraph(made)), networks.batches())
    for name in ("c0", "a0"):
        np.testing.assert_allclose(seen[name].channel_max, stats[name].channel_max, rtol=1e-3, atol=1e-4)


def test_nothing_moves_between_layers_in_float() -> None:
    model = gated_chain()
    graph = OnnxGraph(model)
    stats: dict[str, TensorStats] = observe(model, watched(graph), networks.batches())
    assert equalize(graph, [], stats, 0.7) == 0
    # A gate in float would have to multiply once more.
    assert equalize(graph, ["Conv_1"], stats, 0.7) == 0
    assert graph.to_model("same").SerializeToString() == OnnxGraph(model).to_model("same").SerializeToString()
