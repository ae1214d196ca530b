"""Videos and live sources, with real files and real sockets on 127.0.0.1."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_lpr.errors import SourceError
from edge_lpr.io.capture import CaptureOptions, CaptureSource
from edge_lpr.io.frames import Frame
from edge_lpr.io.sources import open_source

FPS = 25


def write_video(path: Path, frames: int = 50, fps: float = FPS) -> Path:
    """A video whose frames are known by their brightness."""
    code = "MJPG" if path.suffix == ".avi" else "mp4v"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), fps, (64, 48))
    assert writer.isOpened()
    for i in range(frames):
        writer.write(np.full((48, 64, 3), i * 4 % 256, np.uint8))
    writer.release()
    return path


@contextmanager
def silent_server() -> Iterator[int]:
    """A socket that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def take(source: CaptureSource, count: int, seconds: float = 10) -> list[Frame]:
    frames: list[Frame] = []
    until = time.monotonic() + seconds
    while len(frames) < count and not source.ended and time.monotonic() < until:
        frame = source.read(0.1)
        if frame is not None:
            frames.append(frame)
    return frames


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
    assert problems == [f"{path}: {source.skipped} frames could not be decoded and were skipped"]


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


@pytest.mark.parametrize("scheme", ["rtsp", "http", "rtmp"])
def test_an_address_that_never_answers_is_given_up(scheme: str) -> None:
    with silent_server() as port:
        began = time.monotonic()
        with pytest.raises(SourceError, match=r"no answer within 0.7 s") as caught:
            open_source(f"{scheme}://user:secret@127.0.0.1:{port}/1", CaptureOptions(timeout=0.7))
        assert time.monotonic() - began < 4
    assert "secret" not in str(caught.value) and "://***@127.0.0.1" in str(caught.value)


def test_an_address_that_refuses_is_named_at_once() -> None:
    with pytest.raises(SourceError, match=r"rtsp://\*\*\*@127.0.0.1:1/x: cannot be opened: refused"):
        open_source("rtsp://u:secret@127.0.0.1:1/x")


def test_a_live_source_gives_its_newest_frame(camera: Any) -> None:
    source = open_source(camera.address)
    assert isinstance(source, CaptureSource)
    with source:
        assert source.live and source.total is None and source.started == pytest.approx(time.time(), abs=5)
        first = take(source, 1)[0]
        time.sleep(0.6)  # about thirty frames pass
        second = take(source, 1)[0]
        assert second.index - first.index > 5 and source.dropped >= second.index - first.index - 1
        assert second.time is not None and first.time is not None and second.time - first.time > 0.3


def test_a_lost_source_comes_back(camera: Any) -> None:
    problems: list[str] = []
    source = open_source(camera.address, CaptureOptions(timeout=2), problems.append)
    assert isinstance(source, CaptureSource)
    with source:
        before = take(source, 3)
        camera.plugged = False
        until = time.monotonic() + 10
        while not problems and time.monotonic() < until:
            source.read(0.1)
        assert "source lost after" in problems[0] and "trying to reach it again" in problems[0]
        camera.plugged = True
        after = take(source, 3)
        assert len(after) == 3 and after[0].index > before[-1].index
        assert after[0].time is not None and before[-1].time is not None and after[0].time > before[-1].time
        assert "back after" in problems[1] and source.state == "open"
    assert camera.connections == 2


def test_a_lost_source_is_given_up_after_the_time_allowed(camera: Any) -> None:
    problems: list[str] = []
    source = open_source(camera.address, CaptureOptions(timeout=2, reconnect=1.5), problems.append)
    assert isinstance(source, CaptureSource)
    with source:
        take(source, 1)
        camera.plugged = False
        began = time.monotonic()
        take(source, 10_000)
        assert source.ended and source.state == "source lost" and time.monotonic() - began < 8
    assert "not back within 1.5 s" in problems[-1]


def test_no_reconnection_where_none_is_wanted(camera: Any) -> None:
    problems: list[str] = []
    source = open_source(camera.address, CaptureOptions(timeout=2, reconnect=0), problems.append)
    assert isinstance(source, CaptureSource)
    with source:
        take(source, 1)
        camera.plugged = False
        take(source, 10_000)
    assert source.state == "source lost" and len(problems) == 1 and camera.connections == 1


def test_an_address_of_a_finite_video_is_read_in_full(tmp_path: Path) -> None:
    data = write_video(tmp_path / "a.mkv", 20).read_bytes()
    with socket.create_server(("127.0.0.1", 0)) as server:
        stop = threading.Event()

        def serve() -> None:
            server.settimeout(0.1)
            while not stop.is_set():
                try:
                    connection, _ = server.accept()
                except TimeoutError:
                    continue
                with connection:
                    connection.recv(4096)
                    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(data)}\r\nConnection: close\r\n\r\n"
                    connection.sendall(head.encode() + data)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            address = f"http://127.0.0.1:{server.getsockname()[1]}/a.mkv"
            with open_source(address, CaptureOptions(timeout=5)) as source:
                assert not source.live and source.total == 20
                assert len(list(source)) == 20 and source.state == "done"
        finally:
            stop.set()
            thread.join()
