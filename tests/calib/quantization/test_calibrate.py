"""The whole of calibrate and compare, on a bundle of two tiny networks with the runtime's own interfaces."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from helpers.cpu_graphs import operators, quantized_convolutions
from helpers.tiny_bundle import contents

from edge_lpr.bundle import writer
from edge_lpr.bundle.manifest import load_bundle
from edge_lpr.cli import main
from edge_lpr.datasets.content import content_name
from edge_lpr.engines.build import build_jobs
from edge_lpr.engines.build_settings import BuildSettings
from edge_lpr.errors import SettingError
from edge_lpr.pipeline.reader import PlateReader
from edge_lpr.precisions import PRECISIONS, Precision


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
    assert int8.extra["float_type"] == "float16"
    assert int8.extra["range_estimator"] in ("mse", "percentile")
    assert set(int8.extra) > {"smooth_quant_alpha", "float_layers"}
    assert opened.det.precisions["fp16"].extra["float_layers"] == []
    assert int8.extra["accuracy"]["metric"] == "hmean"
    assert int8.extra["accuracy"]["fp32"] > 0.9
    assert int8.extra["accuracy"]["int8"] > 0.9
    assert opened.rec.precisions["int8"].extra["accuracy"]["plates"] > 0
    chosen = opened.raw["calibration"]
    assert len(chosen["images"]) == 6 + 5
    # A bundle is given away: it names images by their contents.
    assert set(chosen["images"]) <= {content_name(path) for path in data.rglob("*.png")}
    assert len(chosen["sha256"]) == 64
    assert "end to end int8: " in captured.err
    assert set(chosen["end_to_end"]["read"]) == {"fp32", "fp16", "int8"}
    assert chosen["end_to_end"]["plates"] == 6
    assert chosen["precisions"] == ["fp16", "int8"]

    # The same call again, forced, remembers all figures and makes the same files.
    before = contents(bundle)
    assert main([*arguments, "--force"]) == 0
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
            "int8:60",
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
    assert main([*arguments, "--seed", "3", "--force"]) == 0
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
    assert "tensorrt makes fp16 and int8 and w16 (default)" in " ".join(capsys.readouterr().out.split())
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
    with PlateReader(bundle, "onnxruntime", "w16", settings={"any_text": True}) as reader:
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


def test_one_part_alone_is_calibrated(bundle: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["calibrate", str(bundle), "--data", str(data), "--cache", "", "--precision", "fp16"]
    assert main([*arguments, "--part", "det"]) == 0
    # The recognizer has no such precision, and is read with in FP32.
    assert "end to end fp16: " in capsys.readouterr().err
    opened = load_bundle(bundle)
    assert set(opened.det.precisions) == {"fp32", "fp16"} and set(opened.rec.precisions) == {"fp32"}
    assert main([*arguments, "--part", "rec"]) == 0
    both = load_bundle(bundle)
    assert both.model("det", "fp16").sha256 == opened.model("det", "fp16").sha256
    assert both.precisions() == ("fp32", "fp16")


def test_a_cache_that_cannot_be_had_is_told_before_the_search(
    bundle: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    taken = tmp_path / "file"
    taken.touch()
    assert main(["calibrate", str(bundle), "--data", str(data), "--cache", str(taken)]) == 1
    assert capsys.readouterr().err == f"edge-lpr: {taken}: cannot be written (a file, expected a folder)\n"


def test_int8_for_a_cpu_is_a_precision_of_its_own(
    bundle: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["calibrate", str(bundle), "--data", str(data), "--cache", str(tmp_path / "cache")]
    assert main([*arguments, "--precision", "fp16"]) == 0
    before = load_bundle(bundle).raw["calibration"]
    assert main([*arguments, "--target", "cpu", "--budget", "5"]) == 0
    opened = load_bundle(bundle)
    assert opened.precisions() == ("fp32", "fp16", "int8-cpu")
    for part, models in opened.files().items():
        model = models["int8-cpu"]
        budget = dict(model.extra["budget"])
        if part == "det":
            small = budget.pop("small_plates")
            # Each of the 12 labelled plates of the other half, at each height.
            assert (
                small["items"] > 0
                and small["kept"]
                and abs(small["won"] - small["lost"]) <= 0.05 * small["items"]
            )
        assert budget == {"points": 5, "kept": True}
        assert set(model.extra["accuracy"]) >= {"fp32", "int8-cpu"}
        quantized = quantized_convolutions(onnx.load_model_from_string(model.read()))
        assert len(quantized) == model.extra["layers"] - len(model.extra["float_layers"])
        assert bool(quantized) == (part == "det")  # the recognizer here is one matrix product
        assert operators(model.read(), tmp_path)["QLinearConv"] == len(quantized)
    # What was made for TensorRT keeps its own record, and engines are built of that alone.
    assert opened.raw["calibration"] == before
    assert opened.raw["calibration_cpu"]["precisions"] == ["int8-cpu"]
    assert {job.model.precision for job in build_jobs(opened, (), BuildSettings())} == {"fp32", "fp16"}
    with pytest.raises(SettingError, match="made for a CPU; engines are built of fp32, fp16, int8"):
        list(build_jobs(opened, ("int8-cpu",), BuildSettings()))
    capsys.readouterr()
    assert main([*arguments, "--target", "cpu", "--precision", "int8"]) == 2
    assert "--target cpu: makes int8-cpu, and --precision says int8; leave one out" in capsys.readouterr().err
