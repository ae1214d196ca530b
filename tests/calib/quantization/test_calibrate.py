"""The whole of calibrate and compare, on a bundle of two tiny networks with the runtime's own interfaces."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge_lpr.bundle import writer
from edge_lpr.bundle.manifest import load_bundle
from edge_lpr.cli import main
from edge_lpr.pipeline.reader import PlateReader
from edge_lpr.precisions import PRECISIONS, Precision

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


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "bundle"
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


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
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


def test_calibrate_then_compare(
    bundle: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [
        "calibrate",
        str(bundle),
        "--data",
        str(data),
        "--cache",
        str(tmp_path / "cache"),
        "--budget",
        "5",
    ]
    assert main(arguments) == 0
    captured = capsys.readouterr()
    assert "warning: only 6 scenes" in captured.err
    opened = load_bundle(bundle)
    assert opened.precisions() == ("fp32", "fp16", "int8")
    assert str(tmp_path) not in (bundle / "bundle.json").read_text(encoding="utf-8")
    int8 = opened.det.precisions["int8"]
    assert int8.read()
    assert 0.9 <= int8.extra["int8_multiply_adds"] <= 1
    assert int8.extra["float_type"] == "float32"
    assert int8.extra["range_estimator"] in ("mse", "percentile")
    assert set(int8.extra) > {"smooth_quant_alpha", "float_layers"}
    assert opened.det.precisions["fp16"].extra["float_layers"] == []
    assert int8.extra["accuracy"]["metric"] == "hmean"
    assert int8.extra["accuracy"]["fp32"] > 0.9
    assert int8.extra["accuracy"]["int8"] > 0.9
    assert opened.rec.precisions["int8"].extra["accuracy"]["plates"] > 0
    chosen = opened.raw["calibration"]
    assert len(chosen["images"]) == 6 + 5
    assert len(chosen["sha256"]) == 64
    assert "end to end int8: " in captured.err
    assert set(chosen["end_to_end"]["read"]) == {"fp32", "fp16", "int8"}
    assert chosen["end_to_end"]["plates"] == 6

    # The same call again remembers all figures and makes the same files.
    before = contents(bundle)
    assert main(arguments) == 0
    assert "remembered from an earlier run" in capsys.readouterr().err
    assert contents(bundle) == before

    out = tmp_path / "report"
    code = main(
        [
            "compare",
            str(bundle),
            "--data",
            str(data),
            "--out",
            str(out),
            "--threads",
            "1",
            "--gate",
            "int8:50",
        ]
    )
    captured = capsys.readouterr()
    assert code == 0
    assert "int8 onnxruntime" in captured.out
    assert "McNemar" in captured.out
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert [v["precision"] for v in report["variants"]] == ["fp32", "fp16", "int8"]
    first = report["variants"][0]
    assert first["tasks"]["det"]["subsets"]["all"]["labelled"] == 12
    assert first["peak_bytes"] > 10_000_000
    assert set(first["tasks"]["det"]["milliseconds"]) == {"p50", "p90", "p99"}
    assert "against_fp32" in report["variants"][2]["tasks"]["rec"]
    page = (out / "report.html").read_text(encoding="utf-8")
    assert 'src="data:image/png;base64,' in page
    assert "http" not in page
    for name in ("accuracy.png", "latency.png", "size.png"):
        assert cv2.imdecode(np.fromfile(out / name, np.uint8), cv2.IMREAD_COLOR) is not None


def test_interruption_leaves_the_bundle_as_it_was(
    bundle: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(bundle)
    write = writer.write_bytes
    written: list[str] = []

    def stop(path: Path, content: bytes) -> None:
        written.append(path.name)
        if path.name == "bundle.json":
            raise KeyboardInterrupt
        write(path, content)

    monkeypatch.setattr(writer, "write_bytes", stop)
    arguments = ["calibrate", str(bundle), "--data", str(data), "--cache", "", "--precision", "int8"]
    assert main(arguments) == 130
    assert written == ["det.int8.onnx", "rec.int8.onnx", "bundle.json"]
    assert {name: content for name, content in contents(bundle).items() if name in before} == before
    assert load_bundle(bundle).precisions() == ("fp32",)
    monkeypatch.undo()
    assert main(arguments) == 0
    assert load_bundle(bundle).model("det", "int8").read()


def test_replacing_a_precision_leaves_no_file_behind(bundle: Path, data: Path, tmp_path: Path) -> None:
    arguments = ["calibrate", str(bundle), "--data", str(data), "--cache", "", "--precision", "int8"]
    assert main(arguments) == 0
    assert main([*arguments, "--seed", "3"]) == 0
    opened = load_bundle(bundle)
    named = {opened.model(part, p).path.name for part in ("det", "rec") for p in opened.precisions()}  # type: ignore[arg-type]
    assert {p.name for p in bundle.glob("*.onnx")} == named
    assert all(opened.model(part, "int8").read() for part in ("det", "rec"))  # type: ignore[arg-type]


def test_a_precision_is_one_new_file(
    bundle: Path, data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Registered with its maker's module, it can be chosen, is made, measured, written, and reads plates."""
    monkeypatch.setattr(PRECISIONS, "_choices", dict(PRECISIONS._choices))
    PRECISIONS.register(Precision("w16", 3, 3, "helpers.half_weights", 0.1, ()))
    assert main(["calibrate", "--help"]) == 0
    assert "what to make (default: fp16 int8 w16)" in capsys.readouterr().out
    arguments = ["calibrate", str(bundle), "--data", str(data), "--cache", "", "--precision", "w16"]
    assert main(arguments) == 0
    assert "end to end w16: " in capsys.readouterr().err
    opened = load_bundle(bundle)
    assert opened.precisions() == ("fp32", "w16")
    for part in ("det", "rec"):
        made = opened.model(part, "w16")  # type: ignore[arg-type]
        assert made.read() != opened.model(part, "fp32").read()  # type: ignore[arg-type]
        assert made.extra["accuracy"]["w16"] > 0.9
    scene = cv2.imdecode(np.fromfile(data / "scenes" / "0.png", np.uint8), cv2.IMREAD_COLOR)
    with PlateReader(bundle, "onnxruntime", "w16", any_text=True) as reader:
        assert len(reader.read(np.asarray(scene, np.uint8))) == 1


def test_images_without_labels_are_measured_against_fp32(
    bundle: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "plates.csv").unlink()
    shutil.rmtree(data / "crops")
    assert main(["calibrate", str(bundle), "--data", str(data), "--cache", "", "--precision", "int8"]) == 0
    assert "agreement with FP32" in capsys.readouterr().err
    accuracy = load_bundle(bundle).model("det", "int8").extra["accuracy"]
    assert accuracy["truth"] == "fp32's own readings"
    assert accuracy["fp32"] == 1


def test_bad_input_is_one_line_and_changes_nothing(
    bundle: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(bundle)
    empty = tmp_path / "empty"
    empty.mkdir()
    dark = tmp_path / "dark"
    dark.mkdir()
    cv2.imencode(".png", np.zeros((SIDE, SIDE, 3), np.uint8))[1].tofile(dark / "a.png")
    cases = [
        ([str(bundle), "--data", str(empty)], "no labelled image"),
        ([str(bundle), "--data", str(tmp_path / "nowhere")], "no such file or folder"),
        ([str(bundle), "--data", str(dark)], "detection found no plate in 1 images"),
        ([str(tmp_path), "--data", str(data)], "no bundle.json"),
        (
            [str(bundle), "--data", str(data), "--budget", "-1"],
            "--budget: '-1', expected a number from 0 to 100",
        ),
        (
            [str(bundle), "--data", str(data), "--images", "0"],
            "--images: '0', must be an integer from 1 to 1000",
        ),
        (
            [str(bundle), "--data", str(data), "--float-budget", "101"],
            "--float-budget: '101', expected a number from 0 to 100",
        ),
    ]
    for arguments, message in cases:
        assert main(["calibrate", *arguments, "--cache", ""]) == 2
        captured = capsys.readouterr()
        assert message in captured.err
        assert "Traceback" not in captured.err
    raw = json.loads((bundle / "bundle.json").read_text(encoding="utf-8"))
    assert contents(bundle) == before
    raw["det"]["precisions"] = {"int8": raw["det"]["precisions"]["fp32"]}
    (bundle / "bundle.json").write_text(json.dumps(raw), encoding="utf-8")
    assert main(["calibrate", str(bundle), "--data", str(data)]) == 2
    assert "no fp32 model of 'det'" in capsys.readouterr().err
    assert main(["compare", str(bundle), "--data", str(data)]) == 2
    assert "nothing to compare with" in capsys.readouterr().err


def test_a_gate_on_what_is_not_there_fails(
    bundle: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", str(bundle), "--data", str(data), "--gate", "int8:0.5"]) == 1
    assert "int8: has a gate, but was not measured" in capsys.readouterr().err
    for gate in ("int8", "int8:x", "fp32:1", "int8:-1"):
        assert main(["compare", str(bundle), "--data", str(data), "--gate", gate]) == 2
