"""Videos that are written hold every frame, or somebody is told."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_lpr.errors import OutputError
from edge_lpr.io.video_io import VideoFile


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv"])
def test_videos_hold_what_was_written(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"视频 1{suffix}"
    video = VideoFile(path, 25, live=False)
    for i in range(10):
        video.write(np.full((48, 64, 3), i * 20, np.uint8), i / 25)
    assert not path.exists()
    video.close()
    video.close()
    check = cv2.VideoCapture(str(path))
    assert check.get(cv2.CAP_PROP_FRAME_COUNT) == 10 and check.get(cv2.CAP_PROP_FPS) == 25
    check.release()
    assert list(tmp_path.iterdir()) == [path]


def test_a_live_video_runs_as_long_as_the_camera_did(tmp_path: Path) -> None:
    video = VideoFile(tmp_path / "a.avi", 10, live=True)
    for seconds in (0.0, 0.5, 1.0):
        video.write(np.zeros((48, 64, 3), np.uint8), seconds)
    video.write(np.zeros((96, 64, 3), np.uint8), 60.0)  # lost for a minute, and back with another size
    video.close()
    check = cv2.VideoCapture(str(tmp_path / "a.avi"))
    assert check.get(cv2.CAP_PROP_FRAME_COUNT) == 1 + 5 + 5 + 20
    check.release()


def test_a_video_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"a video is written as \.mp4"):
        VideoFile(tmp_path / "a.gif", 25, live=False)
    video = VideoFile(tmp_path / "none" / "a.mp4", 25, live=False)
    with pytest.raises(OutputError, match="cannot write a video of 64×48 pixels there"):
        video.write(np.zeros((48, 64, 3), np.uint8), 0)
    video.close()


def test_a_video_that_lost_frames_is_found_out(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    signal = pytest.importorskip("signal")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    rng = np.random.default_rng(0)
    video = VideoFile(tmp_path / "a.avi", 25, live=False)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
        for i in range(200):
            video.write(rng.integers(0, 256, (96, 128, 3), dtype=np.uint8), i / 25)
        with pytest.raises(OutputError, match=r"holds \d+ of 200 frames; is the disk full"):
            video.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
