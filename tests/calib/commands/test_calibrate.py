"""`edge-lpr calibrate` as it is typed."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.tiny_bundle import SIDE, contents

from edge_lpr.cli import main


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
        ([str(bundle), "--data", str(dark)], "detection found no plate in 1 image,"),
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


def test_what_is_asked_for_is_made_once(
    bundle: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["calibrate", str(bundle), "--data", str(data), "--precision", "fp16", "fp16"]
    assert main([*arguments, "--cache", str(tmp_path / "cache")]) == 0
    captured = capsys.readouterr()
    assert captured.out == f"{bundle}: now holds fp16; edge-lpr compare shows the cost\n"
    assert "warning: only 6 scenes" in captured.err
    assert sorted(p.name[:4] for p in (tmp_path / "cache").iterdir()) == ["det-", "rec-"]
    assert {p.name for p in bundle.glob("*.fp16.onnx")} == {"det.fp16.onnx", "rec.fp16.onnx"}


def test_of_one_part_it_says_which(bundle: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["calibrate", str(bundle), "--data", str(data), "--precision", "fp16", "--part", "rec"]
    assert main([*arguments, "--cache", ""]) == 0
    told = capsys.readouterr().out
    assert told == f"{bundle}: now holds fp16 of rec; edge-lpr compare shows the cost\n"


def test_an_image_that_cannot_be_read_is_named_and_told_by_the_exit_code(
    bundle: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damaged = sorted(data.rglob("*.png"))[0]
    damaged.write_bytes(b"no image")
    arguments = ["calibrate", str(bundle), "--data", str(data), "--precision", "fp16", "--cache", ""]
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == f"{bundle}: now holds fp16; edge-lpr compare shows the cost\n"
    assert captured.err.count(f"left out: {damaged}: not an image that edge-lpr reads") == 1


def test_a_precision_that_cannot_be_made_is_no_choice(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["calibrate", "b", "--data", "d", "--precision", "fp32"]) == 2
    assert "invalid choice: 'fp32'" in capsys.readouterr().err
