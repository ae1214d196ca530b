"""Videos hold every frame at its own time, and play up to where they were cut."""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_lpr.errors import OutputError
from edge_lpr.io.video_io import VideoFile

SIZE = (48, 64, 3)
KILLED = """
import os, signal, sys, pathlib, numpy as np
from edge_lpr.io.video_io import VideoFile
rng = np.random.default_rng(0)
video = VideoFile(pathlib.Path(sys.argv[1]), 25, aside=False)
for i in range(130):
    video.write(rng.integers(0, 256, (48, 64, 3), dtype=np.uint8), i / 25)
os.kill(os.getpid(), signal.SIGKILL)
"""


def noise(i: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(i).integers(0, 256, SIZE, dtype=np.uint8)


def times(path: Path) -> list[float]:
    """The time of each frame that plays, in seconds."""
    capture = cv2.VideoCapture(str(path))
    found = []
    while capture.grab():
        found.append(capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
    capture.release()
    return found


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".avi", ".mkv", ".webm"])
def test_videos_hold_what_was_written(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"视频 1{suffix}"
    video = VideoFile(path, 25)
    for i in range(10):
        video.write(np.full(SIZE, i * 20, np.uint8), i / 25)
    assert not path.exists() and video.size > 0
    video.close()
    video.close()
    check = cv2.VideoCapture(str(path))
    assert check.get(cv2.CAP_PROP_FRAME_COUNT) == 10 and check.get(cv2.CAP_PROP_FPS) == 25
    shown = [check.read()[1].mean() for _ in range(10)]
    check.release()
    assert np.abs(np.subtract(shown, np.arange(10) * 20)).max() < 4
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_frames_stand_at_their_own_times(tmp_path: Path, suffix: str) -> None:
    # A camera that gives frames as it can, is lost for a minute, and comes back with another size.
    video = VideoFile(tmp_path / f"a{suffix}", 10)
    given = [100.0, 100.5, 101.0, 101.033, 161.0]
    for seconds in given[:-1]:
        video.write(np.zeros(SIZE, np.uint8), seconds)
    video.write(np.zeros((96, 64, 3), np.uint8), given[-1])
    video.close()
    assert times(tmp_path / f"a{suffix}") == pytest.approx([t - 100 for t in given], abs=2e-3)


@pytest.mark.parametrize(("suffix", "lasts"), [(".mp4", 0.0), (".mp4", 0.5), (".mkv", 2.0), (".avi", 2.0)])
def test_the_last_frame_is_shown_as_long_as_it_lasts(tmp_path: Path, suffix: str, lasts: float) -> None:
    # Half a frame a second: without it the last two seconds would be missing.
    video = VideoFile(tmp_path / f"a{suffix}", 0.5)
    for seconds in (0.0, 2.0, 4.0):
        video.write(noise(), seconds, lasts)
    video.close()
    assert times(tmp_path / f"a{suffix}") == pytest.approx([0, 2, 4], abs=2e-3)
    with av.open(str(tmp_path / f"a{suffix}")) as container:
        assert container.duration is not None
        assert container.duration / 1e6 == pytest.approx(4 + (lasts or 2.0), abs=0.01)


def test_times_that_stand_still_or_go_back_do_not_stop_a_video(tmp_path: Path) -> None:
    video = VideoFile(tmp_path / "a.avi", 10)
    for seconds in (0.0, 0.1, 0.1, 0.05, 0.5):
        video.write(np.zeros(SIZE, np.uint8), seconds)
    video.close()
    assert len(times(tmp_path / "a.avi")) >= 5


@pytest.mark.parametrize("shape", [(47, 63, 3), (48, 63, 3), (1, 1, 3)])
@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
def test_any_size_can_be_written(tmp_path: Path, shape: tuple[int, int, int], suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    video = VideoFile(path, 25)
    video.write(np.full(shape, 90, np.uint8), 0)
    video.close()
    ok, image = cv2.VideoCapture(str(path)).read()
    assert ok and image.shape[:2] == tuple(n + n % 2 for n in shape[:2]) and abs(image.mean() - 90) < 4


def test_where_there_is_no_x264_it_is_mpeg4(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import av

    monkeypatch.setattr(av, "codecs_available", {"mpeg4", "mjpeg"})
    video = VideoFile(tmp_path / "a.mp4", Fraction(30_000, 1001).__float__())
    for i in range(3):
        video.write(noise(i), i / 30)
    video.close()
    with av.open(tmp_path / "a.mp4") as container:
        assert container.streams.video[0].codec_context.name == "mpeg4"
    assert len(times(tmp_path / "a.mp4")) == 3


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
@pytest.mark.parametrize(
    ("suffix", "played"), [(".mp4", 100), (".mov", 100), (".mkv", 100), (".webm", 100), (".avi", 120)]
)
def test_a_killed_process_leaves_what_plays(tmp_path: Path, suffix: str, played: int) -> None:
    path = tmp_path / f"a{suffix}"
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert done.returncode == -9
    found = times(path)
    assert len(found) >= played and found == pytest.approx([i / 25 for i in range(len(found))], abs=2e-3)


def test_what_is_there_is_replaced_or_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_text("older")
    with pytest.raises(FileExistsError):
        VideoFile(path, 25, aside=False).write(noise(), 0)
    assert path.read_text() == "older"
    video = VideoFile(path, 25)
    video.write(noise(), 0)
    assert path.read_text() == "older"
    video.close()
    assert len(times(path)) == 1


def test_a_video_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"a video is written as \.mp4"):
        VideoFile(tmp_path / "a.gif", 25)
    video = VideoFile(tmp_path / "none" / "a.mp4", 25)
    with pytest.raises(OutputError, match="there is no folder"):
        video.write(noise(), 0)
    video.close()
    (tmp_path / "b.mp4").mkdir()
    video = VideoFile(tmp_path / "b.mp4", 25)
    video.write(noise(), 0)
    with pytest.raises(OutputError, match=r"b\.mp4: cannot be written .*; what was written lies in .*\.mp4"):
        video.close()


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv", ".webm"])
def test_a_disk_that_fills_up_leaves_what_plays(tmp_path: Path, suffix: str) -> None:
    resource = pytest.importorskip("resource")
    signal = pytest.importorskip("signal")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    path = tmp_path / f"a{suffix}"
    path.write_text("older")
    video = VideoFile(path, 25)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
        with pytest.raises(OutputError) as caught:
            for i in range(400):
                video.write(noise(i), i / 25)
        video.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    (part,) = (p for p in tmp_path.iterdir() if p != path)
    assert f"File too large); what was written lies in {part}; {path} is as it was" in str(caught.value)
    assert path.read_text() == "older" and len(times(part)) > 20
