"""Internal names in models of Paddle 3, of the patterns that its converter writes."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.extras import reason

pytest.importorskip("onnx", reason=reason("onnx", "test"))

import onnx
from onnx import TensorProto, helper, numpy_helper

from edge_lpr.export.paddle3_names import with_paddle_names

NAMES = {
    "conv2d_136.w_0": "conv2d_136.w_0",
    "p2o.pd_op.reshape.0.0": "conv2d_136.b_0",
    "learnable_affine_block_0.w_0": "mobile_one_block_0.w_0",
    "learnable_affine_block_0.w_1": "mobile_one_block_0.w_1",
    "learnable_affine_block_1.w_0": "whswish_b_1.w_0",
    "learnable_affine_block_1.w_1": "whswish_b_1.w_1",
    "conv2d_9.w_0": "conv2d_9.w_0",
    "auto.cast.57": "conv2d_transpose_0.w_0",
    "p2o.pd_op.reshape.52.0": "conv2d_transpose_0.b_0",
    "auto.cast.60": "conv2d_transpose_1.w_0",
    "p2o.pd_op.reshape.53.0": "conv2d_transpose_1.b_0",
    "helper.reshape.0": "layer_norm_0.w_0",
    "helper.reshape.1": "layer_norm_0.b_0",
    "helper.constant.10": "helper.constant.10",
}
SHAPES = {
    "conv2d_136.w_0": (4, 4, 1, 1),
    "p2o.pd_op.reshape.0.0": (1, 4, 1, 1),
    "conv2d_9.w_0": (4, 4, 1, 1),
    "auto.cast.57": (4, 4, 2, 2),
    "p2o.pd_op.reshape.52.0": (1, 4, 1, 1),
    "auto.cast.60": (4, 1, 2, 2),
    "p2o.pd_op.reshape.53.0": (1, 1, 1, 1),
    "helper.reshape.0": (8,),
    "helper.reshape.1": (8,),
}


def model_of_paddle3() -> onnx.ModelProto:
    steps = [
        ("Conv", ["conv2d_136.w_0"], {}),
        ("Add", ["p2o.pd_op.reshape.0.0"], {}),
        ("Identity", [], {}),
        ("Mul", ["learnable_affine_block_0.w_0"], {}),
        ("Add", ["learnable_affine_block_0.w_1"], {}),
        ("HardSwish", [], {}),
        ("Identity", [], {}),
        ("Mul", ["learnable_affine_block_1.w_0"], {}),
        ("Add", ["learnable_affine_block_1.w_1"], {}),
        ("Conv", ["conv2d_9.w_0"], {}),  # without a bias
        ("ConvTranspose", ["auto.cast.57"], {"strides": [2, 2]}),
        ("Identity", [], {}),
        ("Add", ["p2o.pd_op.reshape.52.0"], {}),
        ("ConvTranspose", ["auto.cast.60"], {"strides": [2, 2]}),
        ("Add", ["p2o.pd_op.reshape.53.0"], {}),
        ("Div", ["helper.constant.10"], {}),
        ("Mul", ["helper.reshape.0"], {}),
        ("Add", ["helper.reshape.1"], {}),
    ]
    nodes, last = [], "x"
    for i, (kind, constants, settings) in enumerate(steps):
        inputs = [*constants, last] if kind == "Mul" else [last, *constants]
        nodes.append(helper.make_node(kind, inputs, [f"t{i}"], **settings))
        last = f"t{i}"
    rng = np.random.default_rng(0)
    tensors = [
        numpy_helper.from_array(rng.uniform(1, 2, SHAPES.get(name, (1,))).astype(np.float32), name)
        for name in NAMES
    ]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4, 2, 2])]
    outputs = [helper.make_tensor_value_info(last, TensorProto.FLOAT, [1, 1, 8, 8])]
    graph = helper.make_graph(nodes, "g", inputs, outputs, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)


def test_every_constant_is_named_by_the_operator_that_reads_it() -> None:
    model = model_of_paddle3()
    before = model.SerializeToString()
    named = with_paddle_names(model)
    assert model.SerializeToString() == before
    onnx.checker.check_model(named, full_check=True)
    assert [t.name for t in named.graph.initializer] == list(NAMES.values())
    assert [t.raw_data for t in named.graph.initializer] == [t.raw_data for t in model.graph.initializer]


def test_names_that_are_there_stay() -> None:
    named = with_paddle_names(model_of_paddle3())
    assert with_paddle_names(named) == named
