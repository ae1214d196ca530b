"""The general weights under PaddleOCR's names, by the order of Paddle's internal numbers."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge_lpr.architectures.registry import ARCHITECTURES
from edge_lpr.architectures.weights import Parameter
from edge_lpr.errors import ModelError
from edge_lpr.export.onnx_to_pdparams import onnx_to_pdparams

DET, REC = ARCHITECTURES["ch_PP-OCRv3_det"], ARCHITECTURES["ch_PP-OCRv3_rec"]


def numbered(wanted: Sequence[Parameter], first: int = 37) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """A model whose constants have Paddle's internal names, numbered from `first`, in a mixed order."""
    random = np.random.default_rng(0)
    counts: dict[tuple[str, str], int] = defaultdict(lambda: first)
    truth: dict[str, np.ndarray] = {}
    tensors = []
    layer: dict[str, int] = {}
    for p in wanted:
        name = p.name.rsplit(".", 1)[0]
        if name not in layer:
            layer[name] = counts[p.kind, "layer"]
            counts[p.kind, "layer"] += 1
        truth[p.name] = random.normal(size=p.shape).astype(np.float32)
        tensors.append(numpy_helper.from_array(truth[p.name], f"{p.kind}_{layer[name]}.{p.slot}"))
    random.shuffle(tensors)
    nodes = [helper.make_node("Identity", [t.name], [f"{t.name}/out"]) for t in tensors]
    outputs = [
        helper.make_tensor_value_info("probs", TensorProto.FLOAT, ["N", "T", wanted[-1].shape[-1]]),
    ]
    nodes.append(helper.make_node("Identity", ["x"], ["probs"]))
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", "T", wanted[-1].shape[-1]])]
    graph = helper.make_graph(nodes, "g", inputs, outputs, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), truth


def test_each_array_finds_its_parameter() -> None:
    model, truth = numbered(DET.parameters())
    found = onnx_to_pdparams(model, DET, "m")
    assert list(found) == [p.name for p in DET.parameters()]
    for name, wanted in truth.items():
        np.testing.assert_array_equal(found[name], wanted)
    model, truth = numbered(REC.parameters(71), first=9)  # 9 and 10 sort wrongly as text
    for name, value in onnx_to_pdparams(model, REC, "m").items():
        np.testing.assert_array_equal(value, truth[name])


def test_other_models_are_refused() -> None:
    model, _ = numbered(DET.parameters())
    with pytest.raises(ModelError, match="expected 36"):
        onnx_to_pdparams(model, REC, "m")
    model, _ = numbered(REC.parameters(72))
    model.graph.output[0].type.tensor_type.shape.dim[-1].dim_value = 71
    with pytest.raises(ModelError, match=r"ctc_head\.fc\.weight"):
        onnx_to_pdparams(model, REC, "m")
