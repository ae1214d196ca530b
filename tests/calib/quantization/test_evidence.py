"""What is in a bundle is not given up for what few plates have judged, nor for what reads them worse."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from helpers import half_weights
from helpers.tiny_bundle import contents

from edge_lpr.bundle.manifest import load_bundle
from edge_lpr.calib.quantization import evidence
from edge_lpr.calib.quantization.job import Job
from edge_lpr.cli import main
from edge_lpr.precisions import PRECISIONS, Precision
from edge_lpr.types import Tick


@pytest.fixture
def arguments(bundle: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Makes a precision that needs no search; the bundle holds it already."""
    monkeypatch.setattr(PRECISIONS, "_choices", dict(PRECISIONS._choices))
    PRECISIONS.register(Precision("w16", 3, 3, "helpers.half_weights", 0.1, ()))
    command = ["calibrate", str(bundle), "--data", str(data), "--cache", "", "--precision", "w16"]
    assert main(command) == 0
    return command


def garble(monkeypatch: pytest.MonkeyPatch, part: str) -> None:
    """Lets the maker return a network whose output does not depend on the image, measured as it is."""

    def make(job: Job, tick: Tick) -> tuple[onnx.ModelProto, dict[str, object]]:
        model = job.model
        if job.part == part:
            model = onnx.ModelProto.FromString(model.SerializeToString())
            for weight in model.graph.initializer:
                if weight.data_type == onnx.TensorProto.FLOAT:
                    weight.CopyFrom(
                        onnx.numpy_helper.from_array(np.zeros(list(weight.dims), np.float32), weight.name)
                    )
        return model, {"accuracy": job.measured("w16", job.accuracy(f"garbled {part}", model))}

    monkeypatch.setattr(half_weights, "make", make)


def test_two_points_take_183_plates() -> None:
    assert (evidence.LOSS, evidence.NEEDED) == (2, 183)


def test_a_first_model_is_made_on_few_plates_and_that_is_said(
    bundle: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["calibrate", str(bundle), "--data", str(data), "--cache", "", "--precision", "fp16"]
    assert main([*command, "--validation", "100"]) == 0
    assert (
        "warning: only 6 plates to judge the detector and 11 the recognizer, and it takes 183 each "
        "to rule out a loss of 2 points: give some 279 labelled scenes, with --validation 183 or more"
    ) in capsys.readouterr().err


def test_too_few_plates_replace_nothing_unless_forced(
    bundle: Path, arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    garble(monkeypatch, "rec")
    before = contents(bundle)
    capsys.readouterr()
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert f"{bundle}: keeps its w16: only 6 plates to judge the detector and 11 the recognizer" in error
    assert "183 each" in error and "; --force replaces it all the same" in error
    assert contents(bundle) == before
    # What the bundle does not hold yet is made beside it.
    assert main([*arguments, "fp16"]) == 0
    captured = capsys.readouterr()
    assert "keeps its w16" in captured.err and "now holds fp16;" in captured.out
    opened = load_bundle(bundle)
    assert opened.raw["calibration"]["precisions"] == ["fp16"]
    assert {name: content for name, content in contents(bundle).items() if "w16" in name} == {
        name: content for name, content in before.items() if "w16" in name
    }
    assert main([*arguments, "--force"]) == 0
    assert load_bundle(bundle).model("rec", "w16").extra["accuracy"]["w16"] == 0


@pytest.mark.parametrize(
    ("part", "metric"), [("det", "detector's hmean"), ("rec", "recognizer's exact text")]
)
def test_what_reads_the_same_plates_worse_replaces_nothing(
    bundle: Path,
    arguments: list[str],
    part: str,
    metric: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(evidence, "NEEDED", 6)
    before = contents(bundle)
    assert main(arguments) == 0
    assert contents(bundle) == before
    garble(monkeypatch, part)
    capsys.readouterr()
    assert main(arguments) == 1
    error = capsys.readouterr().err
    assert f"keeps its w16: the new {metric} is 0.0000 on the same images, that of the one there" in error
    assert contents(bundle) == before
    assert main([*arguments, "fp16"]) == 0
    captured = capsys.readouterr()
    assert "warning: " in captured.err and "keeps its w16" in captured.err
    assert "now holds fp16;" in captured.out
    assert load_bundle(bundle).precisions() == ("fp32", "fp16", "w16")


def test_what_is_damaged_is_nothing_to_keep(bundle: Path, arguments: list[str]) -> None:
    for part in ("det", "rec"):
        load_bundle(bundle).model(part, "w16").path.write_bytes(b"x")  # type: ignore[arg-type]
    assert main(arguments) == 0
    assert load_bundle(bundle).model("det", "w16").read()


def test_a_crop_that_nobody_can_read_judges_nothing(
    bundle: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = (data / "plates.csv").read_text(encoding="utf-8")
    for i in range(10):
        cv2.imencode(".png", np.full((24, 80, 3), 10 * i, np.uint8))[1].tofile(data / "crops" / f"u{i}.png")
        rows += f"\ncrops/u{i}.png,?,"
    (data / "plates.csv").write_text(rows, encoding="utf-8")
    command = ["calibrate", str(bundle), "--data", str(data), "--cache", "", "--precision", "fp16"]
    assert main(command) == 0
    assert "10 plates neither learnt nor counted" in capsys.readouterr().err
    raw = json.loads((bundle / "bundle.json").read_text(encoding="utf-8"))
    # Ten of the twenty crops are calibrated on; of the others only those that were read are measured on.
    assert 6 < raw["rec"]["precisions"]["fp16"]["accuracy"]["plates"] <= 6 + 10
    assert raw["rec"]["precisions"]["fp16"]["accuracy"]["fp16"] == 1
