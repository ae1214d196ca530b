"""Many frames and reconnections leave memory, threads and descriptors as they were."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import pytest

from edge_lpr.benchmarks import soak
from edge_lpr.types import Image

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def test_nothing_grows(
    tmp_path: Path, plate_scene: Callable[..., Image], capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime")
    video = tmp_path / "street.avi"
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter.fourcc(*"MJPG"), 25, (320, 240))
    for i in range(40):
        writer.write(plate_scene(x=40 + i))
    writer.release()
    arguments = ["--frames", "200", "--reconnects", "4", "--threads", "1", "--json", str(tmp_path / "o.json")]
    assert soak.main([str(video), *arguments]) == 0
    found = json.loads((tmp_path / "o.json").read_text(encoding="utf-8"))
    assert json.loads(capsys.readouterr().out) == found
    assert found["frames_received"] >= 200 and found["losses"] >= 4 and found["vehicles"] >= 1
    first, most = found["first"], found["most"]
    assert most["threads"] <= first["threads"] + 1  # one that ends may overlap with one that begins
    assert most["descriptors"] <= first["descriptors"] + 3
    assert most["memory"] - first["memory"] < 64e6


def test_what_cannot_be_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert soak.main([]) == 2
    assert capsys.readouterr().err == "benchmarks.soak: give a video to play, or --address, and not both\n"
