"""Video files: every frame, past damage, and what is said at the end."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from helpers.videos import FPS, write_video

from edge_lpr.counting import counted
from edge_lpr.errors import SourceError
from edge_lpr.io.capture_options import CaptureOptions
from edge_lpr.io.sources import open_source


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv"])
def test_a_video_gives_every_frame_in_order(tmp_path: Path, suffix: str) -> None:
    path = write_video(tmp_path / f"street{suffix}")
    with open_source(path) as source:
        frames = list(source)
    assert source.total == 50 and source.fps == FPS and not source.live and source.state == "done"
    assert [f.index for f in frames] == list(range(50))
    assert [f.time for f in frames] == pytest.approx([i / FPS for i in range(50)], abs=0.003)
    assert all(f.image.shape == (48, 64, 3) and f.image.dtype == np.uint8 for f in frames)
    values = [float(f.image.mean()) for f in frames]
    assert values == pytest.approx([i * 4 for i in range(50)], abs=4)
    assert {f.name for f in frames} == {str(path)} and source.dropped == 0 and source.skipped == 0


def test_a_slow_reader_loses_no_frame_of_a_file(tmp_path: Path) -> None:
    with open_source(write_video(tmp_path / "a.avi", 12)) as source:
        seen = []
        for frame in source:
            time.sleep(0.02)
            seen.append(frame.index)
    assert seen == list(range(12))


def test_the_stride_keeps_index_and_time(tmp_path: Path) -> None:
    with open_source(write_video(tmp_path / "a.mp4"), CaptureOptions(stride=20)) as source:
        frames = list(source)
    assert [f.index for f in frames] == [0, 20, 40] and source.total == 3
    assert [f.time for f in frames] == pytest.approx([0, 0.8, 1.6], abs=0.003)
    assert source.state == "done"


@pytest.mark.parametrize("suffix", [".avi", ".mkv"])
def test_a_video_cut_short_gives_what_it_has_and_says_so(tmp_path: Path, suffix: str) -> None:
    path = write_video(tmp_path / f"cut{suffix}")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    problems: list[str] = []
    with open_source(path, on_warning=problems.append) as source:
        frames = list(source)
    assert 5 < len(frames) < 45 and source.state == "ends early"
    assert problems == [
        f"{path}: ends early: {len(frames)} of 50 promised frames can be decoded; what they show was read"
    ]


def test_a_video_without_its_index_is_one_line(tmp_path: Path) -> None:
    path = write_video(tmp_path / "cut.mp4")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(SourceError, match=r"cut.mp4: cannot be opened: damaged or cut short"):
        open_source(path)


def test_noise_named_as_a_video(tmp_path: Path) -> None:
    path = tmp_path / "noise.mp4"
    path.write_bytes(np.random.default_rng(0).integers(0, 256, 5000, dtype=np.uint8).tobytes())
    with pytest.raises(SourceError, match=r"noise\.mp4: "), open_source(path) as source:
        list(source)


def test_damage_inside_a_video_does_not_end_it(tmp_path: Path) -> None:
    # OpenCV says of a damaged frame what it says at the end: a loop that believes it loses the rest.
    path = write_video(tmp_path / "a.avi")
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 300] = bytes(300)
    path.write_bytes(data)
    problems: list[str] = []
    with open_source(path, on_warning=problems.append) as source:
        frames = list(source)
    assert len(frames) >= 45 and frames[-1].index >= 45 and source.state == "done"
    assert source.skipped >= 1
    assert problems == [f"{path}: {counted(source.skipped, 'frames')} skipped that could not be decoded"]


def test_chinese_and_blanks_in_a_video_s_path(tmp_path: Path) -> None:
    folder = tmp_path / "中文 目录 %d"
    folder.mkdir()
    with open_source(write_video(folder / "视频 1.avi", 5)) as source:
        assert len(list(source)) == 5


def test_closing_early_stops_the_thread(tmp_path: Path) -> None:
    source = open_source(write_video(tmp_path / "a.avi"))
    assert next(iter(source)).index == 0
    source.close()
    source.close()
    assert not [t for t in threading.enumerate() if t.name.endswith("a.avi")]
