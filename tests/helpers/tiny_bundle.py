"""A bundle of two tiny networks with the runtime's own interfaces, and labelled images that they read."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edge_lpr.bundle.manifest import load_bundle

CHARSET = "皖AB01"
SIDE = 64


def _model(
    name: str, nodes: list[onnx.NodeProto], constants: dict[str, np.ndarray], shapes: tuple[list, list]
) -> bytes:
    graph = helper.make_graph(
        nodes,
        name,
        [helper.make_tensor_value_info("image", TensorProto.UINT8, shapes[0])],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, shapes[1])],
        [numpy_helper.from_array(value, key) for key, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    data: bytes = model.SerializeToString()
    return data


def _entry(nodes: list[onnx.NodeProto]) -> list[onnx.NodeProto]:
    return [
        helper.make_node("Cast", ["image"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["planar"], perm=[0, 3, 1, 2]),
        *nodes,
    ]


def det_model() -> bytes:
    """Takes bright pixels for plates: the sigmoid of a blurred brightness."""
    nodes = _entry([
        helper.make_node("Conv", ["planar", "w0"], ["c0"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c0"], ["r0"]),
        helper.make_node("Conv", ["r0", "w1", "b1"], ["c1"]),
        helper.make_node("Sigmoid", ["c1"], ["s"]),
        helper.make_node("Squeeze", ["s", "axis"], ["prob"]),
    ])  # fmt: skip
    constants = {
        "w0": np.full((4, 3, 3, 3), 1 / 27, np.float32),
        "w1": np.full((1, 4, 1, 1), 0.02, np.float32),
        "b1": np.array([-8], np.float32),
        "axis": np.array([1], np.int64),
    }
    return _model("det", nodes, constants, (["N", "H", "W", 3], ["N", "H", "W"]))


def rec_model() -> bytes:
    """Reads the grey level of each of four columns as a class."""
    classes = len(CHARSET) + 1
    nodes = _entry([
        helper.make_node("AveragePool", ["planar"], ["pooled"], kernel_shape=[48, 40], strides=[48, 40]),
        helper.make_node("Squeeze", ["pooled", "axis"], ["columns"]),
        helper.make_node("Transpose", ["columns"], ["steps"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["steps", "w"], ["m"]),
        helper.make_node("Add", ["m", "b"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probs"], axis=2),
    ])  # fmt: skip
    # Logit k is largest where the level is nearest to 40 k: −(x − 40 k)² without its x².
    levels = 40.0 * np.arange(classes)
    constants = {
        "axis": np.array([2], np.int64),
        "w": (np.repeat(levels[None], 3, axis=0) / 3 / 60).astype(np.float32),
        "b": (-(levels**2) / 2 / 60).astype(np.float32),
    }
    return _model("rec", nodes, constants, (["N", 48, 160, 3], ["N", "T", classes]))


def write_bundle(folder: Path) -> Path:
    """A bundle of both models in FP32."""
    folder.mkdir()
    taken = {"name": "image", "layout": "NHWC", "dtype": "uint8", "colour": "BGR"}
    raw = {
        "format": "edge-lpr-bundle", "version": 1, "name": "tiny",
        "licence": "Apache-2.0", "origin": {},
        "det": {
            "input": taken, "output": {"name": "prob", "layout": "NHW", "dtype": "float32"},
            "size": {"stride": 32, "limit_side_len": SIDE, "limit_type": "min", "max_side_len": 256},
            "postprocess": {"unclip_ratio": 0.2},
        },
        "rec": {
            "input": taken, "output": {"name": "probs", "layout": "NTC", "dtype": "float32"},
            "size": {"height": 48, "widths": [160], "resize_mode": "stretch"},
            "charset": list(CHARSET), "unknown_class": False,
        },
    }  # fmt: skip
    for part, data in (("det", det_model()), ("rec", rec_model())):
        (folder / f"{part}.fp32.onnx").write_bytes(data)
        sha256 = hashlib.sha256(data).hexdigest()
        entry = {"file": f"{part}.fp32.onnx", "sha256": sha256, "bytes": len(data)}
        raw[part]["precisions"] = {"fp32": entry}  # type: ignore[index]
    (folder / "bundle.json").write_text(json.dumps(raw), encoding="utf-8")
    load_bundle(folder)
    return folder


def write_data(folder: Path) -> Path:
    """Twelve scenes with a bright plate each and ten crops, labelled in `plates.csv`."""
    rng = np.random.default_rng(0)
    rows = ["file,label,corners_tl_tr_br_bl"]
    for i in range(12):
        image = rng.integers(0, 30, (SIDE, 160, 3), np.uint8)
        top, left = int(rng.integers(8, 30)), int(rng.integers(10, 50))
        image[top : top + 24, left : left + 80] = 200
        path = folder / "scenes" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imencode(".png", image)[1].tofile(path)
        corners = f"{left},{top} {left + 80},{top} {left + 80},{top + 24} {left},{top + 24}"
        rows.append(f'scenes/{i}.png,1,"{corners}"')
    for i in range(10):
        text = "".join(CHARSET[k] for k in rng.choice(len(CHARSET), 4, replace=False))
        columns = [40 * (CHARSET.index(c) + 1) for c in text]
        crop = np.repeat(np.repeat(np.array([columns], np.uint8), 24, axis=0), 20, axis=1)
        path = folder / "crops" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imencode(".png", np.repeat(crop[..., None], 3, axis=2))[1].tofile(path)
        rows.append(f"crops/{i}.png,{text},")
    (folder / "plates.csv").write_text("\n".join(rows), encoding="utf-8")
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.iterdir())}
