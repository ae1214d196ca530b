"""GStreamer's RTSP server plays a film over and over, at its pace, to whoever comes."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from helpers.waiting import take

from edge_lpr.benchmarks.rtsp_films import GstServer, gst_python, write_h264
from edge_lpr.errors import BackendError
from edge_lpr.io.capture_options import CaptureOptions
from edge_lpr.io.live_source import LiveSource
from edge_lpr.io.sources import open_source

FRAMES, FPS = 30, 15


def film() -> list[np.ndarray]:
    """Each frame is as bright as it is late."""
    return [np.full((96, 160, 3), 20 + 6 * number, np.uint8) for number in range(FRAMES)]


def needs_gstreamer() -> None:
    try:
        gst_python()
    except BackendError as e:
        pytest.skip(str(e))


def test_a_python_without_the_bindings_is_named() -> None:
    with pytest.raises(BackendError, match=r"RTSP server in no-such-python; on Debian: apt-get install"):
        gst_python("no-such-python")


def test_it_begins_again_at_its_end(tmp_path: Path) -> None:
    needs_gstreamer()
    video = tmp_path / "a.h264"
    assert write_h264(video, film(), FPS) == FRAMES
    with GstServer({"a": video, "b": video}, FPS) as server:
        assert server.address.startswith("rtsp://127.0.0.1:")
        options = CaptureOptions(timeout=30)
        with open_source(f"{server.address}b", options, lambda line: None) as source:
            assert isinstance(source, LiveSource)
            began = time.monotonic()
            frames = take(source, 2 * FRAMES)
            seconds = time.monotonic() - began
    levels = [float(frame.image.mean()) for frame in frames]
    falls = sum(b < a - 60 for a, b in pairwise(levels))
    assert falls >= 1  # from the last frame to the first
    assert max(levels) - min(levels) > 70
    assert seconds > FRAMES / FPS  # at its own pace, but for what was sent before it was asked for
