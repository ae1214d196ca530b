"""Rewrites that change nothing in float."""

from __future__ import annotations

import numpy as np
import onnx
from helpers import networks
from onnx import helper

from edge_lpr.calib.quantization.cpu.lowering import lower
from edge_lpr.onnx_graph.graph import OnnxGraph


def lowered(model: onnx.ModelProto) -> onnx.ModelProto:
    graph = OnnxGraph(model)
    lower(graph)
    return graph.to_model("lowered")


def head(stride: int = 2) -> onnx.ModelProto:
    """A DB head: two transposed convolutions of 2×2, that double the map each at stride 2."""
    rng = np.random.default_rng(3)

    def weight(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(np.float32)

    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["planar"], perm=[0, 3, 1, 2]),
        helper.make_node("ConvTranspose", ["planar", "w0", "b0"], ["t0"], strides=[stride, stride]),
        helper.make_node("Relu", ["t0"], ["r0"]),
        helper.make_node(
            "ConvTranspose", ["r0", "w1", "b1"], ["t1"], strides=[stride, stride], kernel_shape=[2, 2]
        ),
        helper.make_node("Sigmoid", ["t1"], ["out"]),
    ]
    constants = {
        "w0": weight(3, 5, 2, 2) / 100,
        "b0": weight(5),
        "w1": weight(5, 1, 2, 2),
        "b1": weight(1),
    }
    return networks.build(nodes, constants, "out", 4)


def test_a_head_runs_at_the_resolution_of_its_input() -> None:
    model = head()
    made = lowered(model)
    kinds = [node.op_type for node in made.graph.node]
    assert "ConvTranspose" not in kinds
    # Both shuffles stand behind both convolutions, before what makes probabilities.
    assert kinds[2:] == ["Conv", "Relu", "Conv", "DepthToSpace", "DepthToSpace", "Sigmoid"]
    np.testing.assert_allclose(networks.outputs(made), networks.outputs(model), atol=1e-6)


def test_a_transposed_convolution_that_overlaps_stays() -> None:
    kinds = [node.op_type for node in lowered(head(stride=1)).graph.node]
    assert kinds.count("ConvTranspose") == 2 and "DepthToSpace" not in kinds


def test_a_squeeze_excitation_with_a_shortcut_is_one_product() -> None:
    nodes = [
        helper.make_node("Cast", ["image"], ["float"], to=onnx.TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["x"], perm=[0, 3, 1, 2]),
        helper.make_node("GlobalAveragePool", ["x"], ["pooled"]),
        helper.make_node("HardSigmoid", ["pooled"], ["gate"], alpha=0.001),
        helper.make_node("Mul", ["x", "gate"], ["gated"]),
        helper.make_node("Add", ["gated", "x"], ["out"]),
    ]
    model = networks.build(nodes, {}, "out", 4)
    made = lowered(model)
    maps = [n for n in made.graph.node if n.op_type in ("Add", "Mul") and "x" in n.input]
    assert [node.op_type for node in maps] == ["Mul"]
    np.testing.assert_allclose(networks.outputs(made), networks.outputs(model), rtol=1e-5)


def test_the_whole_network_returns_what_it_did() -> None:
    model = networks.spread_network()
    made = lowered(model)
    assert "ConvTranspose" not in [node.op_type for node in made.graph.node]
    np.testing.assert_allclose(networks.outputs(made), networks.outputs(model), atol=1e-5)
