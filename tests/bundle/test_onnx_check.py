"""Which models may be run: operators, where weights lie, memory and work."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.limited import run_limited
from helpers.tiny_bundle import det_model, write_bundle

from edge_lpr.backends.onnxruntime import open_session
from edge_lpr.bundle.manifest import bundled, load_bundle
from edge_lpr.bundle.onnx_check import MAX_ELEMENTS, MAX_WORK, check_onnx
from edge_lpr.bundle.onnx_reader import read_onnx
from edge_lpr.errors import BundleError, ModelError
from edge_lpr.io.protobuf import fields

onnx = pytest.importorskip("onnx")
helper, numpy_helper, TensorProto = onnx.helper, onnx.numpy_helper, onnx.TensorProto

INPUT = (1, 8, 16, 3)
Node = Any


def node(op: str, *inputs: str, out: str = "y", **attributes: Any) -> Node:
    return helper.make_node(op, list(inputs), [out], name=f"the {op}", **attributes)


def model(*nodes: Node, domain: str = "", **constants: np.ndarray) -> bytes:
    opsets = [helper.make_opsetid("", 17)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", "H", "W", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    data: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    return data


def integers(*values: int) -> np.ndarray:
    return np.array(values, np.int64)


def kernel(*shape: int) -> np.ndarray:
    return np.zeros(shape, np.float32)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8", "int8-cpu"])
@pytest.mark.parametrize(("part", "shape"), [("det", (1, 96, 160, 3)), ("rec", (2, 48, 320, 3))])
def test_shapes_are_those_that_onnx_infers(
    part: Any, shape: tuple[int, ...], precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = load_bundle(bundled()).model(part, precision).path.read_bytes()
    found: dict[str, tuple[int, ...]] = {}
    from edge_lpr.bundle import onnx_check

    real = onnx_check.Known

    def known() -> Any:
        made = real()
        made.shapes = found
        return made

    monkeypatch.setattr(onnx_check, "Known", known)
    cost = check_onnx(data, shape)
    assert 0 < cost.elements < MAX_ELEMENTS / 20 and 0 < cost.work < MAX_WORK / 20
    proto = onnx.load_model_from_string(data)
    for dimension, side in zip(proto.graph.input[0].type.tensor_type.shape.dim, shape, strict=True):
        dimension.dim_value = side
    inferred = onnx.shape_inference.infer_shapes(proto, strict_mode=True, data_prop=True)
    compared = 0
    for info in (*inferred.graph.value_info, *inferred.graph.output):
        sides = tuple(d.dim_value for d in info.type.tensor_type.shape.dim)
        if all(sides):
            assert found[info.name] == sides, info.name
            compared += 1
    assert compared > 0.5 * len(proto.graph.node)


def test_the_shape_of_an_input_may_be_passed_on() -> None:
    data = model(
        node("Shape", "x", out="s"),
        node("Slice", "s", "zero", "two", out="head"),
        node("Concat", "head", "rest", out="wanted", axis=0),
        node("Cast", "wanted", out="same", to=TensorProto.INT64),
        node("Reshape", "x", "same"),
        zero=integers(0),
        two=integers(2),
        rest=integers(-1),
    )
    assert check_onnx(data, INPUT).elements >= 2 * 1 * 8 * 48


BODY = helper.make_graph(
    [helper.make_node("Identity", ["c"], ["d"])],
    "body",
    [helper.make_tensor_value_info("c", TensorProto.BOOL, [])],
    [helper.make_tensor_value_info("d", TensorProto.BOOL, [])],
)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (model(node("Loop", "", "x", body=BODY)), "a graph, a type or several tensors"),
        (model(node("If", "x", then_branch=BODY, else_branch=BODY)), "a graph, a type"),
        (model(node("Scan", "x", body=BODY, num_scan_inputs=1)), "a graph, a type"),
        (model(node("Loop", "", "x")), "the operator Loop, which is not allowed"),
        (model(node("NonZero", "x")), "the operator NonZero"),
        (model(node("Relu", "x", domain="com.example"), domain="com.example"), "operators of com.example"),
        (model(node("FusedConv", "x", domain="com.microsoft"), domain="com.microsoft"), "of com.microsoft"),
        (
            model(node("Cast", "x", to=TensorProto.STRING)),
            "casts to type 8, which is no number",
        ),
        (model(node("DepthToSpace", "x", blocksize=3)), "8 channels in blocks of 3"),
        (model(node("DepthToSpace", "x", blocksize=-(1 << 40))), "in blocks of -1099511627776"),
        (model(node("Relu", "nowhere")), "its input 'nowhere' is made by nothing before it"),
        (model(node("Relu", "x"), node("Relu", "x")), "it makes 'y', which is there already"),
        (b"\x00\x00\x00\x00ORTM" + bytes(100), "ONNX Runtime's own format"),
        (b"", "no graph in it"),
        (b"\xff" * 20, "more than 64 bits"),
        (det_model()[:-40], "beyond the end"),
    ],
)
def test_what_no_model_needs_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        check_onnx(data, INPUT)


BOMBS: dict[str, bytes] = {
    "expand": model(node("Expand", "x", "s"), s=integers(1 << 24, 8, 16, 3)),
    "tile": model(node("Tile", "x", "s"), s=integers(1 << 12, 1 << 12, 1, 1)),
    "fill": model(node("ConstantOfShape", "s"), s=integers(1 << 20, 1 << 20)),
    "resize": model(node("Resize", "x", "", "s"), s=np.array([1, 4000, 4000, 1], np.float32)),
    "resize to": model(node("Resize", "x", "", "", "s"), s=integers(1, 60_000, 60_000, 1)),
    "pad": model(node("Pad", "x", "s"), s=integers(0, 40_000, 40_000, 0, 0, 0, 0, 0)),
    "conv pads": model(node("Conv", "x", "w", pads=[40_000] * 4), w=kernel(1, 8, 1, 1)),
    "upconv": model(node("ConvTranspose", "x", "w", strides=[30_000, 30_000]), w=kernel(8, 1, 1, 1)),
    "upconv shape": model(
        node("ConvTranspose", "x", "w", output_shape=[60_000, 60_000]), w=kernel(8, 1, 1, 1)
    ),
    "gather": model(node("ConstantOfShape", "s", out="i"), node("Gather", "x", "i"), s=integers(1 << 24)),
    "outer product": model(
        node("Reshape", "x", "tall", out="a"),
        node("Resize", "a", "", "s", out="b"),
        node("Transpose", "b", out="c", perm=[1, 0]),
        node("MatMul", "b", "c"),
        tall=integers(-1, 1),
        s=np.array([1000, 1], np.float32),
    ),
    "work": model(
        node("Resize", "x", "", "s", out="b"),
        node("AveragePool", "b", kernel_shape=[2047, 2047], pads=[1023] * 4),
        s=np.array([1, 1, 100, 1000], np.float32),
    ),
}


@pytest.mark.parametrize("name", list(BOMBS))
def test_memory_and_work_that_shapes_imply_are_bounded(name: str) -> None:
    assert len(BOMBS[name]) < 1000
    with pytest.raises(ValueError, match=r"its operator .* (numbers at once|multiply-adds), more than"):
        check_onnx(BOMBS[name], INPUT)


def test_a_shape_that_depends_on_the_image_is_refused() -> None:
    data = model(
        node("ReduceMean", "x", out="m", axes=[0, 1, 2], keepdims=0),
        node("Cast", "m", out="s", to=TensorProto.INT64),
        node("Expand", "x", "s"),
    )
    with pytest.raises(ValueError, match="its input 2 's' is no constant and no shape"):
        check_onnx(data, INPUT)


def test_weights_elsewhere_or_sparse_or_missing_are_refused() -> None:
    proto = onnx.load_model_from_string(model(node("Add", "x", "w"), w=kernel(3)))
    onnx.external_data_helper.set_external_data(proto.graph.initializer[0], "/etc/passwd")
    with pytest.raises(ValueError, match="the constant 'w' lies in another file"):
        check_onnx(proto.SerializeToString(), INPUT)
    proto = onnx.load_model_from_string(model(node("Add", "x", "w"), w=kernel(3)))
    proto.graph.initializer[0].dims[:] = [1 << 30, 1 << 30]
    with pytest.raises(ValueError, match="of 1152921504606846976 elements has"):
        check_onnx(proto.SerializeToString(), INPUT)
    proto = onnx.load_model_from_string(model(node("Relu", "x")))
    proto.graph.sparse_initializer.add().dims[:] = [1 << 40]
    with pytest.raises(ValueError, match="sparse constants"):
        check_onnx(proto.SerializeToString(), INPUT)
    proto = onnx.load_model_from_string(model(node("Relu", "x")))
    proto.functions.add().name = "f"
    with pytest.raises(ValueError, match="functions"):
        check_onnx(proto.SerializeToString(), INPUT)


def test_a_graph_in_two_parts_is_one_as_protobuf_reads_it() -> None:
    data = model(node("Relu", "x"))
    loop = onnx.ModelProto()
    loop.graph.node.add().op_type = "Loop"
    joined = data + loop.SerializeToString()
    assert [n.op_type for n in onnx.load_model_from_string(joined).graph.node] == ["Relu", "Loop"]
    with pytest.raises(ValueError, match="the operator Loop"):
        check_onnx(joined, INPUT)


def test_an_attribute_is_of_the_type_that_it_says() -> None:
    proto = onnx.load_model_from_string(model(node("Concat", "x", "x", axis=1)))
    proto.graph.node[0].attribute[0].ints.extend([7, 7])
    assert read_onnx(proto.SerializeToString()).nodes[0].attributes == {"axis": 1}
    proto.graph.node[0].attribute[0].ClearField("type")
    with pytest.raises(ValueError, match="'axis' is a graph, a type or several tensors"):
        check_onnx(proto.SerializeToString(), INPUT)


def test_fields_without_end_take_no_time() -> None:
    imports = "from edge_lpr.bundle.onnx_check import check_onnx"
    code = "check_onnx(bytes([0x3a, 0x80, 0x80, 0x80, 0x08]) + b'2\\0' * (1 << 23), (1, 8, 16, 3))"
    assert "more than 100000 fields" in run_limited(code, megabytes=100, imports=imports)


def test_a_bundles_model_is_looked_into_before_it_runs(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "b")
    replace(folder, lambda raw: raw["det"]["size"].update(max_side_len=64), BOMBS["expand"])
    with pytest.raises(BundleError, match=r"det\.fp32\.onnx: not run: its operator Expand .*1×64×64×3"):
        load_bundle(folder).model("det", "fp32").read()


def replace(folder: Path, change: Callable[[dict[str, Any]], None], data: bytes) -> None:
    raw = json.loads((folder / "bundle.json").read_text(encoding="utf-8"))
    change(raw)
    (folder / "det.fp32.onnx").write_bytes(data)
    sha256 = hashlib.sha256(data).hexdigest()
    raw["det"]["precisions"]["fp32"].update(sha256=sha256, bytes=len(data))
    (folder / "bundle.json").write_text(json.dumps(raw), encoding="utf-8")


def test_a_model_that_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    folder = write_bundle(tmp_path / "b")
    file = folder / "det.fp32.onnx"
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(BundleError, match=r"det\.fp32\.onnx: cannot be read \(it is not a regular file\)"):
        load_bundle(folder).model("det", "fp32").read()
    (folder / "bundle.json").unlink()
    os.mkfifo(folder / "bundle.json")
    with pytest.raises(BundleError, match="not a regular file"):
        load_bundle(folder)


def test_onnx_runtime_never_takes_its_own_format() -> None:
    with pytest.raises(ModelError):
        open_session(b"\x10\0\0\0ORTM" + bytes(100))


@pytest.mark.parametrize("data", [b"\x0b", b"\x0a\x05a", b"\x0d\0", b"\x08", b"\x0a\xff\xff\xff\xff\x0f"])
def test_damaged_protobuf_is_told(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"wire type|beyond the end|within a number"):
        list(fields(data))
