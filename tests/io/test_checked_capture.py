"""Frames that are larger than the limit, in every kind of video."""

from __future__ import annotations

import struct
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.limited import run_limited

from edge_lpr.errors import SourceError
from edge_lpr.io import video_source
from edge_lpr.io.capture import CaptureOptions
from edge_lpr.io.frames import Frame
from edge_lpr.io.sources import open_source

IMPORTS = """
from edge_lpr.io.capture import CaptureOptions
from edge_lpr.io.sources import open_source
"""
READ = "print(sum(1 for _ in open_source(sys.argv[1], CaptureOptions(max_pixels=int(sys.argv[2])))))"


def jpeg(width: int, height: int) -> bytes:
    return bytes(cv2.imencode(".jpg", np.full((height, width, 3), 90, np.uint8))[1])


def write(path: Path, code: str, width: int = 64, height: int = 48, frames: int = 12) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), 25, (width, height))
    assert writer.isOpened()
    for i in range(frames):
        writer.write(np.full((height, width, 3), 10 * i, np.uint8))
    writer.release()
    return path


@pytest.mark.parametrize(("name", "code"), [("v.mp4", "mp4v"), ("v.avi", "MJPG"), ("v.mkv", "MJPG")])
def test_a_video_is_held_to_the_limit_as_it_is_opened(tmp_path: Path, name: str, code: str) -> None:
    path = write(tmp_path / name, code)
    with open_source(path, CaptureOptions(max_pixels=64 * 48)) as source:
        assert len(list(source)) == 12
    with pytest.raises(SourceError, match=rf"{name}: frames of 64×48 pixels, more than the limit of 0\.0030"):
        open_source(path, CaptureOptions(max_pixels=64 * 48 - 1))


GROWTH = """
from edge_lpr.errors import SourceError
def peak():  # not ru_maxrss, which begins with what the parent had
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) >> 10 for line in file if line.startswith("VmHWM"))
before = peak()
try:
    next(iter(open_source(sys.argv[1], CaptureOptions(max_pixels=int(sys.argv[2])))))
except SourceError as e:
    print(e)
print(peak() - before)
"""


def test_no_frame_of_a_large_video_is_decoded(tmp_path: Path) -> None:
    side = 5000  # 37 MB as it is decoded, 75 MB as it is given
    motion_jpeg = tmp_path / "large.mjpeg"
    motion_jpeg.write_bytes(2 * jpeg(side, side))
    gif = tmp_path / "large.gif"
    image = b",\0\0\0\0" + struct.pack("<HHB", side, side, 0) + b"\x02\x02\x4c\x01\0"
    gif.write_bytes(b"GIF89a" + struct.pack("<HHBBB", side, side, 0x80, 0, 0) + bytes(6) + 2 * image + b";")
    for path in (motion_jpeg, gif):
        refused, grown = run_limited(GROWTH, path, "20000000", megabytes=4000, imports=IMPORTS).splitlines()
        assert "frames of 5000×5000 pixels, more than the limit of 20 megapixels" in refused
        assert int(grown) < 35
    assert int(run_limited(GROWTH, motion_jpeg, "30000000", megabytes=4000, imports=IMPORTS)) > 70


@pytest.mark.parametrize("name", ["v.mjpeg", "v.avi"])
def test_every_frame_of_motion_jpeg_is_held_to_the_limit(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "v.avi":
        # A frame's place in the file keeps its length: the marker of the size alone is changed.
        data = bytearray(write(path, "MJPG").read_bytes())
        at = -1
        for _ in range(8):
            at = data.index(b"\xff\xc0", at + 1)
        data[at + 5 : at + 9] = struct.pack(">HH", 4000, 4000)
        path.write_bytes(data)
    else:
        path.write_bytes(7 * jpeg(64, 48) + jpeg(4000, 4000) + 4 * jpeg(64, 48))
    said = run_limited(READ, path, "1000000", megabytes=200, imports=IMPORTS)
    assert f"{name}: frames of 4000×4000 pixels, more than the limit of 1 megapixels" in said
    with pytest.raises(SourceError, match="frames of 4000×4000 pixels"):
        list(open_source(path, CaptureOptions(max_pixels=1_000_000)))


def test_frames_wait_only_where_memory_is_left_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "v.mp4", "mp4v")
    most: dict[int, int] = {}
    real = video_source.VideoSource._put

    def put(self: video_source.VideoSource, frame: Frame) -> None:
        real(self, frame)
        limit = self._options.max_pixels
        most[limit] = max(most.get(limit, 0), len(self._queue))

    monkeypatch.setattr(video_source.VideoSource, "_put", put)
    for limit in (64 * 48, 10 * 64 * 48):
        with open_source(path, CaptureOptions(max_pixels=limit)) as source:
            for _ in source:
                time.sleep(0.02)
    assert most == {64 * 48: 1, 10 * 64 * 48: video_source._QUEUE}
