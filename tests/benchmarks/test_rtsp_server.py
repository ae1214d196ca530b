"""The RTSP server, read by FFmpeg as a camera is."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.videos import write_video
from helpers.waiting import LONG

from edge_lpr.benchmarks.rtsp_server import RtspServer, mpeg4_frames
from edge_lpr.errors import SourceError
from edge_lpr.io.capture_options import CaptureOptions
from edge_lpr.io.live_source import LiveSource
from edge_lpr.io.sources import open_source

OPTIONS = CaptureOptions(timeout=LONG, max_pause=0.1)


@pytest.fixture
def frames(tmp_path: Path) -> list[bytes]:
    return mpeg4_frames(write_video(tmp_path / "a.avi", 30))


def gray(source: LiveSource, count: int) -> Iterator[float]:
    for n, frame in enumerate(source, 1):
        yield float(frame.image.mean())
        if n == count:
            return


def test_what_is_played_is_what_is_read(frames: list[bytes]) -> None:
    assert len(frames) == 30
    with RtspServer(frames, fps=50) as server, open_source(server.address, OPTIONS) as source:
        assert isinstance(source, LiveSource)
        seen = list(gray(source, 40))  # it begins anew after thirty
        assert source.live and source.state == "open" and server.connections == 1
    assert max(seen) > 90 and min(seen) < 60


def test_a_camera_that_breaks_off_is_reached_again(frames: list[bytes]) -> None:
    problems: list[str] = []
    with (
        RtspServer(frames, fps=100, drop_after=15) as server,
        open_source(server.address, OPTIONS, problems.append) as source,
    ):
        assert isinstance(source, LiveSource)
        given = 0
        for _ in source:
            given += 1
            if source.losses >= 2:
                break
        assert server.connections >= 2
        assert 2 <= given <= source.received - source.dropped - source.skipped
    assert sum("source lost after" in line for line in problems) >= 2  # a third may be told already


def test_it_runs_as_a_command_until_its_input_ends(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.avi", 10)
    command = [sys.executable, "-m", "edge_lpr.benchmarks.rtsp_server", str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdin is not None
        address = process.stdout.readline().strip()
        with open_source(address, OPTIONS) as source:
            assert next(iter(source)).image.shape == (48, 64, 3)
        process.stdin.close()
        assert process.wait(LONG) == 0


def test_what_is_no_video_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"\0" * 100)
    with pytest.raises(SourceError, match=r"a\.mp4"):
        mpeg4_frames(tmp_path / "a.mp4")
