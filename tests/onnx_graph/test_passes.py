"""The passes over ONNX graphs (graph, fold, fuse): the same numbers from fewer and better nodes."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from helpers import onnx_models as models

from edge_lpr.errors import ModelError
from edge_lpr.export.bundle_graph import simplified
from edge_lpr.onnx_graph.fold import fold_affine, fold_batch_norms, fold_constants, remove_no_ops
from edge_lpr.onnx_graph.graph import OPSET, OnnxGraph, load_onnx

Builder, kinds, run, small_det, small_rec = (
    models.Builder,
    models.kinds,
    models.run,
    models.small_det,
    models.small_rec,
)


def make_image(height: int = 24, width: int = 32) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(2, 3, height, width)).astype(np.float32)


def same(
    before: onnx.ModelProto, graph: OnnxGraph, value: np.ndarray, tolerance: float = 1e-5
) -> onnx.ModelProto:
    after = graph.to_model("test")
    np.testing.assert_allclose(run(after, value), run(before, value), atol=tolerance)
    return after


def test_simplified_detection_computes_the_same_with_nothing_left_to_fold() -> None:
    before = small_det()
    after = same(before, simplified(before, (None, None)), make_image())
    assert kinds(after) == [
        "Conv", "HardSigmoid", "Mul", "Conv", "Relu", "ConvTranspose", "Sigmoid",
    ]  # fmt: skip
    assert after.opset_import[0].version == OPSET
    assert all(len(n.input) == 3 for n in after.graph.node if n.op_type.startswith("Conv"))


def test_simplified_recognition_has_a_layer_normalization() -> None:
    before = small_rec()
    after = same(before, simplified(before, (48, None)), make_image(48, 64))
    assert kinds(after).count("LayerNormalization") == 1
    assert not {"ReduceMean", "Sqrt", "BatchNormalization", "Constant"} & set(kinds(after))


def test_nodes_have_names_that_do_not_repeat_or_change() -> None:
    first, second = (simplified(small_det(), (None, None)).to_model("m") for _ in range(2))
    names = [n.name for n in first.graph.node]
    assert len(set(names)) == len(names)
    assert all(names)
    assert first.SerializeToString(deterministic=True) == second.SerializeToString(deterministic=True)


@pytest.mark.parametrize("groups", [1, 2])
def test_batch_norm_folds_into_a_transposed_convolution(groups: int) -> None:
    b = Builder()
    wide = b.op("Concat", "x", "x", axis=1)
    weight = b.noise(6, 4, 2, 2)
    x = b.op("ConvTranspose", wide, weight, b.noise(4 * groups), strides=[2, 2], group=groups)
    before = b.model(b.norm(x, 4 * groups))
    graph = OnnxGraph(before)
    fold_batch_norms(graph)
    assert kinds(same(before, graph, make_image())) == ["Concat", "ConvTranspose"]


def test_batch_norm_stays_where_the_convolution_is_read_twice() -> None:
    b = Builder()
    x = b.conv("x", 3, 4)
    before = b.model(b.op("Add", b.norm(x, 4), x))
    graph = OnnxGraph(before)
    fold_batch_norms(graph)
    assert "BatchNormalization" in kinds(same(before, graph, make_image()))


@pytest.mark.parametrize("shape", [(), (1,), (1, 1, 1, 1), (1, 4, 1, 1)])
def test_factors_and_shifts_fold_into_a_convolution(shape: tuple[int, ...]) -> None:
    b = Builder()
    x = b.op("Mul", b.conv("x", 3, 4), b.noise(*shape, low=0.5, high=2))
    x = b.op("Add", b.noise(*shape), x)
    before = b.model(b.op("Relu", b.op("Mul", x, b.noise(*shape, low=0.5, high=2))))
    graph = OnnxGraph(before)
    fold_affine(graph)
    assert kinds(same(before, graph, make_image())) == ["Conv", "Relu"]


def test_a_shift_along_the_width_does_not_fold() -> None:
    b = Builder()
    before = b.model(b.op("Add", b.conv("x", 3, 4), b.noise(1, 1, 1, 32)))
    graph = OnnxGraph(before)
    fold_affine(graph)
    assert kinds(same(before, graph, make_image())) == ["Conv", "Add"]


def test_shapes_that_are_known_are_not_computed() -> None:
    b = Builder(opset=17)
    x = b.conv("x", 3, 4)
    shape = b.op("Shape", x)
    cut = [b.const([n], np.int64) for n in (0, 2)]
    sizes = b.op("Concat", b.op("Slice", shape, *cut, cut[0]), b.const([-1], np.int64), axis=0)
    before = b.model(b.op("Softmax", b.op("Reshape", x, sizes), axis=2), rank=3)
    after = same(before, simplified(before, (None, None)), make_image())
    assert kinds(after) == ["Conv", "Reshape", "Softmax"]


def test_no_ops_go_and_the_output_keeps_its_name() -> None:
    b = Builder()
    x = b.op("Identity", b.op("Mul", b.op("Relu", b.op("Add", "x", b.const(0.0))), b.const([1.0])))
    before = b.model(b.op("Add", b.op("Dropout", x), b.const([0.0])))
    graph = OnnxGraph(before)
    remove_no_ops(graph)
    after = same(before, graph, make_image())
    assert kinds(after) == ["Relu"]
    assert after.graph.output[0].name == before.graph.output[0].name


def test_a_factor_that_is_not_one_stays() -> None:
    b = Builder()
    before = b.model(b.op("Mul", b.op("Relu", "x"), b.const([1.5])))
    graph = OnnxGraph(before)
    remove_no_ops(graph)
    fold_constants(graph)
    assert kinds(same(before, graph, make_image())) == ["Relu", "Mul"]


def test_hard_swish_as_an_operator_becomes_a_gate() -> None:
    b = Builder(opset=14)
    before = b.model(b.op("HardSwish", b.conv("x", 3, 4)))
    after = same(before, simplified(before, (None, None)), 4 * make_image())
    assert kinds(after) == ["Conv", "HardSigmoid", "Mul"]


def test_layer_norm_over_another_axis_stays() -> None:
    b = Builder()
    before = b.model(b.layer_norm(b.conv("x", 3, 32), 32, 1))
    after = same(before, simplified(before, (None, None)), make_image(8, 32))
    assert "LayerNormalization" not in kinds(after)


def test_dead_nodes_and_constants_go() -> None:
    b = Builder()
    x = b.conv("x", 3, 4)
    b.op("Relu", b.conv("x", 3, 64))
    after = OnnxGraph(b.model(b.op("Sigmoid", x))).to_model("m")
    assert kinds(after) == ["Conv", "Sigmoid"]
    assert len(after.graph.initializer) == 1


def test_newer_opsets_and_foreign_operators_are_refused() -> None:
    b = Builder(opset=OPSET + 1)
    with pytest.raises(ModelError, match=f"opset {OPSET + 1}"):
        OnnxGraph(b.model(b.op("Relu", "x")))
    b = Builder()
    model = b.model(b.op("Relu", "x"))
    model.graph.node[0].domain = "com.example"
    model.opset_import.append(onnx.helper.make_opsetid("com.example", 1))
    with pytest.raises(ModelError, match=r"com\.example"):
        OnnxGraph(model)


def test_load_refuses_what_is_no_model(tmp_path: Path) -> None:
    file = tmp_path / "m.onnx"
    with pytest.raises(ModelError, match="cannot be read"):
        load_onnx(file)
    good = small_det().SerializeToString()
    file.write_bytes(good)
    assert load_onnx(file).graph.node
    for bad in (b"", b"\x00" * 99, good[: len(good) // 2], b"not an ONNX file at all"):
        file.write_bytes(bad)
        with pytest.raises(ModelError, match="ONNX") as caught:
            load_onnx(file)
        assert "\n" not in str(caught.value)


def test_load_refuses_weights_in_other_files(tmp_path: Path) -> None:
    b = Builder()
    model = b.model(b.op("Relu", "x"))
    tensor = onnx.numpy_helper.from_array(np.ones(4, np.float32), "w")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.ClearField("raw_data")
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", "../../secret"
    model.graph.initializer.append(tensor)
    with pytest.raises(ModelError, match="other files"):
        load_onnx(model.SerializeToString())
