"""Standard input as a source: pictures, and videos that cannot be searched."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import av
import cv2
import numpy as np
import pytest
from helpers.videos import write_video

from edge_lpr.errors import SourceError
from edge_lpr.io import standard_input
from edge_lpr.io.capture_options import CaptureOptions
from edge_lpr.io.sources import find_targets, open_source

READ = """
from edge_lpr.io.sources import find_targets, open_source
(target,) = find_targets("-")
with open_source(target, on_warning=lambda line: print(line)) as source:
    frames = list(source)
print(target.kind, source.label, len(frames), frames[0].image.shape, source.state)
"""


def piped(data: bytes) -> list[str]:
    """What a process says that is given the bytes by a pipe."""
    done = subprocess.run([sys.executable, "-c", READ], input=data, stdout=subprocess.PIPE, check=True)
    return done.stdout.decode().splitlines()


def remuxed(path: Path, container: str, options: dict[str, str] | None = None) -> bytes:
    """The first 30 frames of a video, in another container."""
    out = io.BytesIO()
    with av.open(str(path)) as read, av.open(out, "w", container, options) as written:
        stream = written.add_stream("mpeg2video" if container == "mpegts" else "mpeg4", rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for frame in read.decode(video=0):
            frame.pict_type = 0
            written.mux(stream.encode(frame.reformat(format="yuv420p")))
        written.mux(stream.encode(None))
    return out.getvalue()


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[IO[bytes]]:
    """A file whose bytes are standard input."""
    with (tmp_path / "stdin").open("w+b") as file:

        class Input:
            buffer = file

        monkeypatch.setattr(sys, "stdin", Input)
        yield file


def given(file: IO[bytes], data: bytes) -> None:
    file.write(data)
    file.seek(0)


def test_videos_are_read_as_they_come(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.avi", 30)
    for data in (remuxed(path, "mpegts"), remuxed(path, "mp4", {"movflags": "frag_keyframe+empty_moov"})):
        assert piped(data) == ["video stdin 30 (48, 64, 3) done"]


@pytest.mark.parametrize("container", ["matroska", "avi"])
def test_other_containers(stdin: IO[bytes], tmp_path: Path, container: str) -> None:
    given(stdin, remuxed(write_video(tmp_path / "v.avi", 30), container))
    with open_source("-", CaptureOptions(stride=10)) as source:
        assert [frame.index for frame in source] == [0, 10, 20]


def test_an_index_at_the_end_is_put_aside_and_said_so(stdin: IO[bytes], tmp_path: Path) -> None:
    given(stdin, write_video(tmp_path / "v.mp4", 30).read_bytes())
    said: list[str] = []
    with open_source("-", on_note=said.append) as source:
        assert len(list(source)) == 30 and source.state == "done"
    assert len(said) == 1 and "its index is at its end, so it is put aside in" in said[0]


def test_what_is_put_aside_is_bounded(
    stdin: IO[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given(stdin, write_video(tmp_path / "v.mp4", 30).read_bytes())
    monkeypatch.setattr(standard_input, "MAX_ASIDE", 1000)
    with pytest.raises(SourceError, match=r"a video of more than .* whose index is at its end; write it"):
        open_source("-", on_warning=lambda line: None)


def test_a_full_disk_is_one_line(stdin: IO[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(**_: object) -> IO[bytes]:
        raise OSError(28, "No space left on device")

    given(stdin, write_video(tmp_path / "v.mp4", 30).read_bytes())
    monkeypatch.setattr(standard_input.tempfile, "TemporaryFile", full)
    with pytest.raises(SourceError, match=r"stdin: cannot be put aside in .* \(No space left on device\)"):
        open_source("-", on_warning=lambda line: None)


def test_a_picture(stdin: IO[bytes]) -> None:
    given(stdin, bytes(cv2.imencode(".png", np.full((20, 30, 3), 7, np.uint8))[1]))
    (target,) = find_targets("-")
    assert target.kind == "images" and target.label == "stdin"
    with open_source(target) as source:
        (frame,) = source
    assert frame.image.shape == (20, 30, 3) and frame.time is None and frame.name == "stdin"
    assert source.is_image and source.total == source.received == 1 and source.state == "done"


def test_a_damaged_picture_is_told_and_left_out(stdin: IO[bytes]) -> None:
    given(stdin, bytes(cv2.imencode(".png", np.zeros((20, 30, 3), np.uint8))[1])[:60])
    said: list[str] = []
    with open_source("-", on_warning=said.append) as source:
        assert list(source) == []
    assert source.skipped == 1 and said[0].startswith("stdin: ")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "stdin: nothing came; send an image or video"),
        (b"some notes\n", "stdin: a text file; expected a video"),
        (b"#EXTM3U\nhttp://h/1.ts\n", "stdin: a playlist, which names other files"),
        (b"\0\1\2\3" * 2000, "stdin: cannot be opened"),
    ],
)
def test_what_is_no_video_is_one_line(stdin: IO[bytes], data: bytes, message: str) -> None:
    given(stdin, data)
    with pytest.raises(SourceError, match=message):
        open_source("-")


def test_it_is_read_once(stdin: IO[bytes], tmp_path: Path) -> None:
    given(stdin, write_video(tmp_path / "v.avi", 3).read_bytes())
    with open_source("-") as source:
        assert len(list(source)) == 3
    with pytest.raises(SourceError, match="stdin: was read already"):
        open_source("-")


def test_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(SourceError, match="standard input is closed"):
        find_targets("-")


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a terminal")
def test_a_terminal_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "rb", buffering=0) as file:

        class Input:
            buffer = file

        monkeypatch.setattr(sys, "stdin", Input)
        with pytest.raises(SourceError, match="standard input is a terminal; send an image or video"):
            find_targets("-")
    os.close(ours)


@pytest.mark.skipif(not Path("/dev/stdin").exists(), reason="needs /dev/stdin")
def test_no_output_is_written_over_the_file_that_was_sent_there(tmp_path: Path) -> None:
    path = write_video(tmp_path / "v.avi", 3)
    before = path.read_bytes()
    command = [sys.executable, "-m", "edge_lpr", "-", "--jsonl", str(path)]
    with path.open("rb") as file:
        done = subprocess.run(command, stdin=file, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "which is read; give another name" in done.stderr
    assert path.read_bytes() == before
