"""Videos by PyAV: what they show and when, and frames that are larger than the limit."""

from __future__ import annotations

import os
import struct
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from helpers.limited import run_limited
from helpers.videos import encode

from edge_lpr.errors import SourceError
from edge_lpr.io.capture_options import CaptureOptions
from edge_lpr.io.sources import open_source
from edge_lpr.io.video_decoder import VideoDecoder

IMPORTS = """
from edge_lpr.io.capture_options import CaptureOptions
from edge_lpr.io.sources import open_source
"""
READ = "print(sum(1 for _ in open_source(sys.argv[1], CaptureOptions(max_pixels=int(sys.argv[2])))))"


def jpeg(width: int, height: int) -> bytes:
    return bytes(cv2.imencode(".jpg", np.full((height, width, 3), 90, np.uint8))[1])


def write(path: Path, code: str, width: int = 64, height: int = 48, frames: int = 12) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), 25, (width, height))
    assert writer.isOpened()
    for i in range(frames):
        writer.write(np.full((height, width, 3), 10 * i % 256, np.uint8))
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


def test_threads_work_ahead_only_where_memory_is_left_for_them(tmp_path: Path) -> None:
    path = str(write(tmp_path / "v.mp4", "mp4v"))
    for times, least, most in ((1, 1, 1), (3, 1, 3), (100, min(16, os.cpu_count() or 1), 16)):
        decoder = VideoDecoder(path, "v", CaptureOptions(max_pixels=times * 64 * 48))
        assert least <= decoder._codec.thread_count <= most
        decoder.close()
        decoder.close()


def test_what_an_edit_list_leaves_out_is_not_missed(tmp_path: Path) -> None:
    options = {"avoid_negative_ts": "disabled", "movflags": "use_metadata_tags"}
    path = encode(tmp_path / "trimmed.mp4", range(36), earlier=16, options=options)
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames == 36
    said: list[str] = []
    with open_source(path, on_warning=said.append) as source:
        frames = list(source)
    assert len(frames) == source.total == 20 and source.state == "done" and said == []
    assert [frame.index for frame in frames] == list(range(20))
    assert [frame.time for frame in frames] == pytest.approx([n / 25 for n in range(20)])
    assert float(frames[0].image.mean()) == pytest.approx(16 * 4, abs=4)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_times_are_the_file_s_own(tmp_path: Path, suffix: str) -> None:
    at = [0, 1, 2, 3, 20, 21, 22, 60, 61]
    with open_source(encode(tmp_path / f"v{suffix}", at)) as source:
        frames = list(source)
    assert [frame.time for frame in frames] == pytest.approx([n / 25 for n in at], abs=0.001)
    assert source.state == "done"


@pytest.mark.parametrize("suffix", [".mkv", ".webm", ".nut", ".mp4", ".flv", ".ts"])
def test_a_recording_whose_clock_did_not_begin_with_it(tmp_path: Path, suffix: str) -> None:
    codec = {".webm": "libvpx", ".flv": "flv1"}.get(suffix, "mpeg4")
    path = encode(tmp_path / f"part-7{suffix}", range(2500, 2550), codec=codec)
    said: list[str] = []
    with open_source(path, on_warning=said.append) as source:
        frames = list(source)
    assert len(frames) == 50 and source.state == "done" and said == []
    assert frames[-1].time == pytest.approx(49 / 25, abs=0.01)
    if suffix == ".mkv":
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2])
        with open_source(path, on_warning=said.append) as source:
            assert len(list(source)) < 40 and source.state == "ends early"
        assert "of 50 promised frames" in said[0]


@pytest.mark.parametrize("suffix", [".mkv", ".flv", ".mp4"])
def test_a_picture_that_comes_after_the_sound(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"v{suffix}"
    packets: list[av.Packet] = []
    with av.open(str(path), "w") as container:
        video = container.add_stream("flv1" if suffix == ".flv" else "mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        sound = container.add_stream("aac", rate=44100)
        for n in range(25):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 4 * n, np.uint8), "bgr24")
            frame.pts, frame.time_base = 50 + n, Fraction(1, 25)
            packets += video.encode(frame)
        packets += video.encode(None)
        for n in range(3 * 44100 // 1024):
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            silence.rate, silence.pts, silence.time_base = 44100, 1024 * n, Fraction(1, 44100)
            packets += sound.encode(silence)
        packets += sound.encode(None)
        container.mux(sorted(packets, key=lambda packet: (packet.dts or 0) * (packet.time_base or 0)))
    said: list[str] = []
    with open_source(path, on_warning=said.append) as source:
        assert len(list(source)) == 25 and source.state == "done" and said == []


def test_less_than_a_frame_a_second(tmp_path: Path) -> None:
    with open_source(encode(tmp_path / "slow.mp4", [0, 20, 40, 60], rate=10)) as source:
        frames = list(source)
    assert [frame.time for frame in frames] == [0, 2, 4, 6] and source.total == 4 and source.fps is not None


@pytest.mark.parametrize(
    ("matrix", "corner"),
    [((0, 1, -1, 0), (0, -1)), ((-1, 0, 0, -1), (-1, -1)), ((0, -1, 1, 0), (-1, 0))],
)
def test_a_video_that_was_held_sideways_stands_upright(
    tmp_path: Path, matrix: tuple[int, int, int, int], corner: tuple[int, int]
) -> None:
    path = tmp_path / "v.mp4"
    image = np.full((48, 64, 3), 40, np.uint8)
    image[:24, :32] = 220  # at the top left, before it is turned
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25, (64, 48))
    for _ in range(3):
        writer.write(image)
    writer.release()
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 44
    a, b, c, d = (value * 0x10000 for value in matrix)
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 0x40000000)
    path.write_bytes(data)
    with open_source(path) as source:
        frame = next(iter(source)).image
    assert frame.shape == ((48, 64, 3) if matrix[0] else (64, 48, 3))
    y, x = corner
    assert frame[y, x].mean() > 180 and frame.mean() < 120


def test_av1_is_read(tmp_path: Path) -> None:
    codec = next((name for name in ("libaom-av1", "libsvtav1") if name in av.codecs_available), None)
    if codec is None:
        pytest.skip("this FFmpeg writes no AV1")
    path = encode(tmp_path / "v.mkv", range(5), codec)
    # SVT-AV1 puts root's thread above all others (SCHED_FIFO), and with it every later process of the tests.
    if hasattr(os, "sched_setscheduler"):
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    with open_source(path) as source:
        assert [float(frame.image.mean()) for frame in source] == pytest.approx([0, 4, 8, 12, 16], abs=5)


def test_larger_frames_in_mid_stream_are_not_decoded(tmp_path: Path) -> None:
    # H.264 without a container: two streams on end are one that changes its size.
    small = encode(tmp_path / "small.h264", range(200), "libx264").read_bytes()
    large = encode(tmp_path / "large.h264", range(5), "libx264", size=(1280, 720)).read_bytes()
    path = tmp_path / "v.h264"
    path.write_bytes(small + large)
    with open_source(path) as source:
        assert [frame.image.shape[0] for frame in source] == [48] * 200 + [720] * 5
    said: list[str] = []
    with open_source(path, CaptureOptions(max_pixels=100_000), said.append) as source:
        assert [frame.image.shape[0] for frame in source] == [48] * 200
    assert len(said) == 1 and "frames skipped that could not be decoded" in said[0]


def test_names_that_no_encoding_has(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"\xff\xfe %d.avi")
    path.write_bytes(write(tmp_path / "v.avi", "MJPG").read_bytes())
    with open_source(path) as source:
        assert len(list(source)) == 12


def test_a_video_without_a_picture_is_named(tmp_path: Path) -> None:
    path = tmp_path / "sound.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        sound.sample_rate, sound.pts, sound.time_base = 8000, 0, Fraction(1, 8000)
        container.mux([*stream.encode(sound), *stream.encode(None)])
    with pytest.raises(SourceError, match=r"sound\.mkv: no video in it"):
        open_source(path)


@pytest.mark.parametrize("after", [0, 3])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), SourceError("gone")])
def test_what_is_raised_while_bytes_are_read_is_not_lost(
    tmp_path: Path, after: int, error: BaseException, capfd: pytest.CaptureFixture[str]
) -> None:
    data = write(tmp_path / "v.avi", "MJPG", frames=200).read_bytes()

    class Bytes:
        reads = 0

        def read(self, size: int, /) -> bytes:
            self.reads += 1
            if self.reads > after:
                raise error
            return data[(self.reads - 1) * 4096 : self.reads * 4096]

        def close(self) -> None:
            """There is nothing to close."""

    with pytest.raises(type(error)):
        list(VideoDecoder(Bytes(), "v", CaptureOptions()).frames(lambda: True))
    assert capfd.readouterr().err == ""
