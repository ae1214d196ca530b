from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_lpr.datasets.labels import load_labels
from edge_lpr.finetune.synthesis.augment import bench, main, sheet


@pytest.fixture
def data(tmp_path: Path) -> Path:
    image = np.random.default_rng(0).integers(0, 255, (120, 240, 3), np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), image)
    label = [{"transcription": "皖A12345", "points": [[60, 40], [180, 40], [180, 78], [60, 78]]}]
    (tmp_path / "det.txt").write_text(f"a.png\t{json.dumps(label)}", encoding="utf-8")
    return tmp_path


def test_sheets(data: Path, tmp_path: Path) -> None:
    samples = load_labels([data]).samples
    assert sheet(samples, "scenes", 1).shape == (1248, 1664, 3)
    assert sheet(samples, "crops", 1).shape == (768, 1504, 3)
    assert main([str(data), "--sheet", str(tmp_path / "x.png")]) == 0
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")


def test_rates(data: Path) -> None:
    rates = bench(load_labels([data]).samples, seconds=0.02)
    assert set(rates) == {"lines of 48 pixels", "scenes 416x416"}
    assert min(rates.values()) > 0


def test_bad_input_is_one_line(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data / "det.txt").write_text("a.png\t[]\n", encoding="utf-8")
    assert main([str(data), "--bench"]) == 2
    error = capsys.readouterr().err.strip()
    assert "no labelled plate in it that can be cut out" in error
    assert "\n" not in error
