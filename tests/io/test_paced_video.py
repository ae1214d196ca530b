"""A video file as a camera: at its own pace, in a process of its own, once or over and over."""

from __future__ import annotations

import time
from itertools import islice
from pathlib import Path

import pytest
from helpers.videos import write_video
from helpers.waiting import LONG, read_until, take, wait_until

from edge_lpr.errors import SourceError
from edge_lpr.io.capture_options import CaptureOptions
from edge_lpr.io.live_source import LiveSource
from edge_lpr.io.paced_video import PacedVideo
from edge_lpr.io.targets import Target


def test_frames_come_when_they_are_due(tmp_path: Path) -> None:
    video = PacedVideo(str(write_video(tmp_path / "v.mp4", 10)), "v", CaptureOptions(), loop=False)
    began = time.monotonic()
    frames = list(video.frames(lambda: True))
    assert time.monotonic() - began > 9 / 25 - 0.02
    assert [frame.index for frame in frames] == list(range(10)) and video.done and video.live
    assert video.fps == 25 and video.received == 10


def test_it_begins_again_at_its_end_and_its_clock_goes_on(tmp_path: Path) -> None:
    video = PacedVideo(str(write_video(tmp_path / "v.mp4", 5)), "v", CaptureOptions(), loop=True)
    frames = list(islice(video.frames(lambda: True), 12))
    assert [frame.index for frame in frames] == list(range(12)) and not video.done
    assert [round(frame.seconds * 25) for frame in frames] == list(range(12))
    shown = [float(frame.image.mean()) for frame in frames]
    assert shown[:5] == sorted(shown[:5]) and shown[0] < shown[4] and shown[5:] == shown[:7]
    video.close()


def test_one_that_is_behind_does_not_hurry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_lpr.io.paced_video._LATE", 0.2)
    video = PacedVideo(str(write_video(tmp_path / "v.mp4", 10)), "v", CaptureOptions(), loop=False)
    frames = video.frames(lambda: True)
    next(frames)
    time.sleep(0.6)
    began = time.monotonic()
    assert len(list(frames)) == 9
    assert time.monotonic() - began > 7 / 25


def test_it_ends_when_nobody_wants_more(tmp_path: Path) -> None:
    video = PacedVideo(str(write_video(tmp_path / "v.mp4", 5)), "v", CaptureOptions(), loop=True)
    assert list(video.frames(lambda: False)) == [] and not video.done


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "v.mp4").write_bytes(b"x" * 5000)
    with pytest.raises(SourceError, match="cannot be opened"):
        PacedVideo(str(tmp_path / "v.mp4"), "v", CaptureOptions(), loop=True)


def live(path: Path, loop: bool, told: list[str]) -> LiveSource:
    target = Target("video", "v", address=str(path), loop=loop)
    return LiveSource(target, CaptureOptions(timeout=LONG), True, told.append, "no video")


def test_as_a_live_source_it_ends_once_it_is_over(tmp_path: Path) -> None:
    told: list[str] = []
    with live(write_video(tmp_path / "v.mp4", 5), False, told) as source:
        frames = take(source)
        assert frames[0].wall is not None and source.live
        read_until(source, lambda: source.ended)
        assert (source.state, source.losses, source.received) == ("done", 0, 5)
    assert told == []


def test_as_a_live_source_it_loops_and_can_be_ended(tmp_path: Path) -> None:
    told: list[str] = []
    with live(write_video(tmp_path / "v.mp4", 5), True, told) as source:
        wait_until(lambda: source.received > 12)
        assert source.losses == 0 and not source.ended
        frame = take(source)[0]
        assert frame.time is not None and frame.time > 0.3
    assert told == []
