"""Where videos are cut, and that what is decoded between cuts is what the whole shows."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from helpers.videos import encode, write_video
from numpy.typing import NDArray

from edge_lpr.archive.cuts import Cuts, cut, segments_of
from edge_lpr.archive.segment_source import SegmentSource
from edge_lpr.archive.units import Segment
from edge_lpr.errors import SourceError
from edge_lpr.io.capture_options import CaptureOptions
from edge_lpr.io.sources import open_source

Shown = list[tuple[int, float | None, NDArray[np.uint8]]]
ONE = Segment()


def clip(path: Path, gop: int = 12, *, closed: bool = True) -> Path:
    """A video of 60 frames that are stored in another order than they are shown in."""
    with av.open(str(path), "w") as container:
        keys = f"scenecut=0:keyint={gop}:min-keyint={gop}:bframes=2:b-adapt=0:open-gop={int(not closed)}"
        stream = container.add_stream("libx264", rate=25, options={"x264-params": keys})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(60):
            image = np.full((48, 64, 3), number * 4 % 256, np.uint8)
            image[10:20, number % 50 : number % 50 + 10] = 255 - number
            frame = av.VideoFrame.from_ndarray(image, "bgr24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def cuts_of(path: Path, seconds: float = 0.0, stride: int = 1) -> Cuts:
    return cut(str(path), path.name, seconds, stride, 1.0)


def whole(path: Path, stride: int = 1) -> Shown:
    with open_source(path, CaptureOptions(stride=stride), lambda line: None) as source:
        return [(frame.index, frame.time, frame.image) for frame in source]


def in_parts(path: Path, cuts: Cuts, stride: int = 1, order: Sequence[int] = ()) -> Shown:
    parts: dict[int, Shown] = {}
    for number in order or range(len(cuts.segments)):
        segment = cuts.segments[number]
        with SegmentSource(
            str(path), "v", segment, CaptureOptions(stride=stride), lambda line: None
        ) as source:
            parts[number] = [(frame.index, frame.time, frame.image) for frame in source]
            assert source.received == cuts.frames[number]
    return [shown for number in sorted(parts) for shown in parts[number]]


def same(first: Shown, second: Shown) -> bool:
    return [(i, t) for i, t, _ in first] == [(i, t) for i, t, _ in second] and all(
        (a == b).all() for (_, _, a), (_, _, b) in zip(first, second, strict=True)
    )


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".avi", ".mov"])
@pytest.mark.parametrize("stride", [1, 4])
def test_the_parts_of_a_video_are_the_whole(tmp_path: Path, suffix: str, stride: int) -> None:
    path = clip(tmp_path / f"v{suffix}")
    cuts = cuts_of(path, stride=stride)
    order = [*reversed(range(len(cuts.segments)))]
    assert same(in_parts(path, cuts, stride, order), whole(path, stride))
    assert sum(cuts.frames) == 60
    # An AVI keeps no time of what is stored before it is shown.
    assert len(cuts.segments) == (1 if suffix == ".avi" else 5)


def test_frames_that_key_frames_do_not_divide_are_one_segment(tmp_path: Path) -> None:
    path = clip(tmp_path / "v.mp4", closed=False)
    assert cuts_of(path).frames == (60,)
    assert same(in_parts(path, cuts_of(path)), whole(path))


def test_a_segment_is_as_long_as_asked(tmp_path: Path) -> None:
    path = clip(tmp_path / "v.mp4")
    assert [cuts_of(path, seconds).frames for seconds in (0.0, 0.9, 2.0, 60.0)] == [
        (12,) * 5,
        (24, 24, 12),
        (60,),
        (60,),
    ]


def test_edited_and_uneven_videos_are_the_whole(tmp_path: Path) -> None:
    uneven = encode(tmp_path / "uneven.mp4", [0, 1, 2, 30, 31, 90, 91])
    edited = encode(tmp_path / "edited.mp4", range(20), earlier=5)
    motion = write_video(tmp_path / "motion.avi", 20)
    for path in (uneven, edited, motion):
        assert same(in_parts(path, cuts_of(path)), whole(path)), path.name
    assert len(cuts_of(motion).segments) == 20  # each is an image


def test_packets_that_no_key_frame_divides_are_one_segment() -> None:
    def frames(*packets: tuple[int | None, bool]) -> tuple[int, ...]:
        return segments_of(packets, 1, 25, 0.0, 1, 1.0).frames

    assert frames((0, True), (1, False), (2, True), (3, False)) == (2, 2)
    # A frame that is stored after the key frame, and shown before it.
    assert frames((0, True), (1, False), (3, True), (2, False)) == (4,)
    # One that is stored before it, and shown after it.
    assert frames((0, True), (4, False), (3, True), (5, False)) == (4,)
    assert frames((0, True), (None, False), (2, True)) == (3,)
    assert frames((0, True), (0, False), (2, True)) == (3,)
    assert frames() == (0,)


def test_searching_again_goes_on_as_in_the_whole() -> None:
    packets = [(n, n % 10 == 0) for n in range(40)]
    cuts = segments_of(packets, 1, 10, 0.0, 3, 1.5)
    # Of every third frame: 0, 1.5, 3.0; the next one is due at 4.5.
    assert [one.rescan for one in cuts.segments] == [None, 1.5, 3.0, 3.0]


def test_a_segment_of_a_changed_video_says_so(tmp_path: Path) -> None:
    path = clip(tmp_path / "v.mp4")
    second = cuts_of(path).segments[1]
    clip(path, gop=60)
    with (
        SegmentSource(str(path), "v.mp4", second, CaptureOptions(), lambda line: None) as source,
        pytest.raises(SourceError, match=r"v\.mp4: its key frame at \d+ is not found; was it changed\?"),
    ):
        list(source)


def test_what_is_no_video_says_so(tmp_path: Path) -> None:
    for name, data, said in (
        ("empty.mp4", b"", "the file is empty"),
        ("text.mp4", b"hello\n" * 20, "a text file"),
        ("list.mp4", b"#EXTM3U\nhttp://127.0.0.1/a.ts\n", "a playlist"),
        ("cut.mp4", clip(tmp_path / "v.mp4").read_bytes()[:600], "cannot be opened"),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(SourceError, match=f"{name}: .*{said}"):
            cuts_of(tmp_path / name)


def test_a_video_that_ends_early_is_told_once(tmp_path: Path) -> None:
    path = clip(tmp_path / "v.mkv")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 3 // 4])
    cuts = cuts_of(path)
    told: list[str] = []
    for segment in cuts.segments:
        with SegmentSource(str(path), "v.mkv", segment, CaptureOptions(), told.append) as source:
            list(source)
    assert len(cuts.segments) > 1
    assert [line.partition(":")[2].split(",")[0].strip()[:10] for line in told] == ["ends early"]
