"""What a camera's run leaves that was killed: its recordings play, its results are whole lines."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from helpers.videos import encode, frames_in
from helpers.waiting import LONG, wait_until
from numpy.typing import NDArray

from edge_lpr.cli import main
from edge_lpr.io.capture_options import CaptureOptions
from edge_lpr.io.sources import open_source

FAST = ["--det-limit-side-len", "256", "--det-limit-type", "max", "--threads", "1", "--quiet"]


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_a_killed_run_leaves_what_plays(
    camera: Any,
    plate_scene: Callable[..., NDArray[np.uint8]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    camera.image = plate_scene("皖A13H25")
    outputs = ["--every-frame", "--jsonl", "o.jsonl", "--save", "out", "--save-minutes", "0.05"]
    command = [sys.executable, "-m", "edge_lpr", camera.address, *outputs, *FAST]
    process = subprocess.Popen(command, cwd=tmp_path)

    def plays() -> bool:
        """Whether there are two videos, past their first fragment and in the middle of none: killed so."""
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)
        videos = list(tmp_path.glob("out/*.mp4"))
        if len(videos) > 1 and all(frames_in(path) > 1 and is_whole(path) for path in videos):
            return True
        process.send_signal(signal.SIGCONT)
        return False

    def is_whole(path: Path) -> bool:
        with open_source(path) as source:
            return all(True for _ in source) and source.state == "done"

    wait_until(plays, 0.2)
    process.send_signal(signal.SIGKILL)
    process.wait(LONG)
    videos = sorted((tmp_path / "out").iterdir())
    assert len(videos) >= 2 and all(path.suffix == ".mp4" for path in videos)
    for path in videos:
        capture = cv2.VideoCapture(str(path))
        ok, image = capture.read()
        assert ok and image.shape == (240, 320, 3)
        assert capture.grab()
        capture.release()
    lines = (tmp_path / "o.jsonl").read_text("utf-8").splitlines()
    assert len(lines) > 1 and {json.loads(line)["text"] for line in lines} == {"皖A13H25"}
    # What is left reads as any video does, and nothing is half written.
    said: list[str] = []
    with open_source(videos[-1], on_warning=said.append) as source:
        assert len(list(source)) > 1 and source.state == "done"
    assert not said
    assert main(["doctor", str(tmp_path), "--json"]) in (0, 1)
    found = {c["name"]: c for c in json.loads(capsys.readouterr().out)["checks"]}
    assert str(os.fspath(tmp_path)) in found["left over"]["found"] and found["left over"]["state"] == "ok"


@pytest.mark.parametrize(
    ("suffix", "rate", "at", "stride"),
    [
        (".mp4", 25, [0, 1, 2, 3, 20, 21, 22, 60, 61], 1),
        (".mkv", 25, [0, 1, 2, 3, 20, 21, 22, 60, 61], 3),
        (".mp4", 10, [0, 20, 40, 60, 80, 100], 1),
        (".mp4", 10, [0, 20, 40, 60, 80, 100], 2),
    ],
    ids=["variable", "variable, stride", "half a frame a second", "half a frame a second, stride"],
)
def test_what_is_saved_plays_as_long_as_its_source(
    tmp_path: Path, suffix: str, rate: int, at: list[int], stride: int
) -> None:
    source = encode(tmp_path / "in.mp4", at, rate=rate)
    saved = tmp_path / f"out{suffix}"
    assert main([str(source), "--save", str(saved), "--stride", str(stride), *FAST]) == 0
    with open_source(source, CaptureOptions(stride=stride)) as frames:
        expected = [(frame.time, frame.lasts) for frame in frames]
    with open_source(saved) as frames:
        assert [frame.time for frame in frames] == pytest.approx([time for time, _ in expected], abs=0.002)
    with av.open(str(saved)) as container:
        assert container.duration is not None
        assert container.duration / 1e6 == pytest.approx(sum(expected[-1]), abs=0.01)
