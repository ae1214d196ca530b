"""The INT8 that is written: over FP16, in opset 19, and said of it what it is."""

from __future__ import annotations

import numpy as np
import onnx
from helpers import networks
from onnx import TensorProto, numpy_helper

from edge_lpr.calib.quantization.cache import Cache
from edge_lpr.calib.quantization.calibration_data import CalibrationData
from edge_lpr.calib.quantization.int8 import FP16_QDQ_OPSET, make
from edge_lpr.calib.quantization.job import Job
from edge_lpr.calib.quantization.options import CalibrationOptions


def job(model: onnx.ModelProto, lines: list[str]) -> Job:
    data = CalibrationData([], [], [], [], [], "", [], [], "", labelled=True)
    objective, options = networks.Nearness(model), CalibrationOptions(budget=20)
    return Job("det", model, networks.batches(), objective, Cache(None), options, lines.append, data)


def test_int8_lies_over_fp16(model: onnx.ModelProto) -> None:
    made, facts = make(job(model, []), lambda n: None)
    assert made.opset_import[0].version == FP16_QDQ_OPSET
    onnx.checker.check_model(made, full_check=True)
    stored = {item.name: numpy_helper.to_array(item) for item in made.graph.initializer}
    kinds = [node.op_type for node in made.graph.node]
    assert kinds.count("QuantizeLinear") >= 3
    scales = [stored[n.input[1]] for n in made.graph.node if n.op_type.endswith("tizeLinear")]
    assert {scale.dtype for scale in scales} == {np.dtype(np.float16)}
    assert min(float(scale.min()) for scale in scales) >= 2.0**-14
    biases = [stored[n.input[2]] for n in made.graph.node if n.op_type == "Conv" and len(n.input) > 2]
    assert biases and {bias.dtype for bias in biases} == {np.dtype(np.float16)}
    assert made.graph.output[0].type.tensor_type.elem_type == TensorProto.FLOAT
    assert facts["float_type"] == "float16"
    in_float = {entry["layer"]: entry["why"] for entry in facts["float_layers"]}
    # The gate's convolution of one pixel, the transposed convolution, and a product of 4 by 6.
    assert {"Conv_3", "ConvTranspose_0", "MatMul_0"} <= set(in_float)
    in_full = {entry["layer"] for entry in facts["float32_layers"]}
    assert {"LayerNormalization_0", "Softmax_0"} <= in_full
    change = np.abs(networks.outputs(made) - networks.outputs(model)).mean()
    assert change < 0.05
    assert facts["accuracy"]["int8"] > 0.9


def test_a_network_with_nothing_for_int8_is_fp16_and_says_so() -> None:
    from helpers.onnx_models import Builder

    b = Builder(opset=17)
    image = b.op("Transpose", b.op("Cast", "image", to=TensorProto.FLOAT), perm=[0, 3, 1, 2])
    rows = b.op("Reshape", image, b.const([0, 3, networks.SIDE**2], np.int64))
    output = b.op("Softmax", b.op("MatMul", rows, b.noise(networks.SIDE**2, 4)), axis=-1)
    b.nodes[-1].output[0] = output = "out"
    model = networks.build(b.nodes, {}, output, 3)
    lines: list[str] = []
    made, facts = make(job(model, lines), lambda n: None)
    assert "QuantizeLinear" not in {node.op_type for node in made.graph.node}
    assert facts["int8_multiply_adds"] == 0
    assert any("no layer of this network may run in INT8" in line for line in lines)
