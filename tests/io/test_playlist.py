"""Playlists that lie beside their videos, and where they may not lead."""

from __future__ import annotations

import os
import re
from pathlib import Path

import av
import pytest
from helpers.videos import write_video

from edge_lpr.counting import counted
from edge_lpr.errors import SettingError, SourceError
from edge_lpr.io.playlist import is_playlist, read_playlist
from edge_lpr.io.sources import find_targets, open_source
from edge_lpr.outputs import RunInfo


def hls(folder: Path, kind: str = "mpegts") -> Path:
    """Writes 50 frames as HLS of one second a file."""
    path = folder / "list.m3u8"
    options = {"hls_time": "1", "hls_list_size": "0", "hls_segment_type": kind}
    if kind == "fmp4":
        options["hls_fmp4_init_filename"] = "init.mp4"
    with av.open(str(write_video(folder / "a.avi"))) as read, av.open(str(path), "w", "hls", options) as out:
        stream = out.add_stream("libx264", rate=25, options={"g": "25", "bf": "0"})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for frame in read.decode(video=0):
            out.mux(stream.encode(frame.reformat(format="yuv420p")))
        out.mux(stream.encode(None))
    (folder / "a.avi").unlink()
    return path


@pytest.mark.parametrize("kind", ["mpegts", "fmp4"])
def test_the_segments_of_hls_are_one_video(tmp_path: Path, kind: str) -> None:
    path = hls(tmp_path, kind)
    said: list[str] = []
    (target,) = find_targets(path)
    assert target.kind == "video" and target.label == str(path) and len(target.read) >= 3
    with open_source(target, on_note=said.append) as source:
        frames = list(source)
    count = len(read_playlist(path).files)
    assert said == [f"{path}: a playlist of {counted(count, 'files')}, read as one video"]
    assert [frame.index for frame in frames] == list(range(50)) and source.state == "done"
    assert [frame.time for frame in frames] == pytest.approx([n / 25 for n in range(50)], abs=0.003)


@pytest.mark.parametrize("head", ["ffconcat version 1.0\n", "# mine\n\n"])
def test_a_list_of_videos_is_read_one_after_the_other(tmp_path: Path, head: str) -> None:
    write_video(tmp_path / "it's 1.avi", 10)
    write_video(tmp_path / "sub.mkv", 15)
    path = tmp_path / "list.txt"
    path.write_text(f"{head}file 'it'\\''s 1.avi'\nduration 0.4\nfile sub.mkv\n", encoding="utf-8")
    with open_source(path, on_warning=lambda line: None) as source:
        frames = list(source)
    assert [frame.index for frame in frames] == list(range(25)) and source.received == 25
    assert [frame.time for frame in frames] == pytest.approx([n / 25 for n in range(25)], abs=0.003)


def test_one_of_a_list_that_is_damaged_leaves_the_others(tmp_path: Path) -> None:
    write_video(tmp_path / "a.avi", 5)
    (tmp_path / "b.mp4").write_bytes(b"\0" * 4096)
    path = tmp_path / "list.m3u"
    path.write_text("#EXTM3U\na.avi\nb.mp4\na.avi\n", encoding="utf-8")
    said: list[str] = []
    with open_source(path, on_warning=said.append) as source:
        assert len(list(source)) == 10
    assert source.state == "ends early" and "list.m3u, b.mp4: cannot be opened" in said[0]


@pytest.mark.parametrize(
    "where", ["../secret.avi", "/etc/passwd", "sub/../../secret.avi", "link.avi", "%2e%2e/secret.avi"]
)
def test_it_leads_to_nothing_outside_of_its_folder(tmp_path: Path, where: str) -> None:
    write_video(tmp_path / "secret.avi", 2)
    folder = tmp_path / "lists"
    (folder / "sub").mkdir(parents=True)
    (folder / "link.avi").symlink_to(tmp_path / "secret.avi")
    for text in (f"#EXTM3U\n{where}\n", f"ffconcat version 1.0\nfile {where}\n"):
        path = folder / "list.m3u8"
        path.write_text(text, encoding="utf-8")
        with pytest.raises(SourceError, match="which is not in its folder or below"):
            find_targets(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("#EXTM3U\nhttp://u:secret@h/1.ts\n", "names an address; give the one that it comes from"),
        ("#EXTM3U\nfile:///etc/passwd\n", "names an address"),
        ("ffconcat version 1.0\nfile subfile,,start,0,end,0,,:/etc/passwd\n", "which is not there"),
        ("ffconcat version 1.0\nfile concat:a|b\n", "names an address"),
        ("#EXTM3U\ngone.ts\n", "names 'gone.ts', which is not there"),
        ("#EXTM3U\n", "a playlist that names no file"),
        ("#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI=k\na.ts\n", "its videos are encrypted; ffmpeg -i list.m3u8"),
        ("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\na.m3u8\n", "it names other playlists; give one of those"),
        ("#EXTM3U\n#EXT-X-BYTERANGE:9@0\na.ts\n", "it names parts of files"),
        ("ffconcat version 1.0\ninpoint 3\n", "line 2: expected file NAME"),
        ("ffconcat version 1.0\nfile 'a\n", "line 2: expected file NAME"),
        ("#EXTM3U\na\0b.ts\n", "cannot be read"),
    ],
)
def test_what_is_not_read_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "list.m3u8"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SourceError, match=message) as caught:
        find_targets(path)
    assert "secret" not in str(caught.value) and "\n" not in str(caught.value)


def test_a_playlist_in_a_playlist_or_called_a_video_is_none(tmp_path: Path) -> None:
    write_video(tmp_path / "a.avi", 2)
    for name in ("inner.m3u8", "clip.mp4"):
        (tmp_path / name).write_text("#EXTM3U\na.avi\n", encoding="utf-8")
    (tmp_path / "list.ffconcat").write_text("ffconcat version 1.0\nfile inner.m3u8\n", encoding="utf-8")
    for name in ("list.ffconcat", "clip.mp4"):
        with pytest.raises(SourceError, match="a playlist, which names other files"):
            open_source(tmp_path / name, on_warning=lambda line: None)


def test_what_it_names_is_called_as_it_calls_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("sub").mkdir()
    Path("sub/inner.m3u8").write_text("#EXTM3U\na.avi\n", encoding="utf-8")
    Path("sub/empty.avi").touch()
    write_video(Path("a.avi"), 2)
    Path("sub/cut.avi").write_bytes(b"\0" * 4096)
    for name, message in (
        ("sub/inner.m3u8", "a playlist, which names other files"),
        ("./sub/empty.avi", "the file is empty"),
        ("sub/cut.avi", "cannot be opened"),
    ):
        Path("list.txt").write_text(f"file {name}\n", encoding="utf-8")
        with pytest.raises(SourceError, match=f"^list.txt, {re.escape(name)}: {message}"):
            open_source("list.txt")
    told: list[str] = []
    Path("list.txt").write_text("file a.avi\nfile sub/cut.avi\n", encoding="utf-8")
    with open_source("list.txt", on_warning=told.append) as source:
        assert len(list(source)) == 2
    assert len(told) == 1 and told[0].startswith("list.txt, sub/cut.avi: cannot be opened")
    assert str(tmp_path) not in told[0]


def test_a_playlist_in_a_folder_is_not_read_with_it(tmp_path: Path) -> None:
    hls(tmp_path)
    targets = find_targets(tmp_path, on_left_out=lambda *_: None)
    assert {os.path.splitext(target.label)[1] for target in targets} == {".ts"}  # noqa: PTH122


def test_what_is_no_playlist() -> None:
    assert is_playlist(b"\xef\xbb\xbf#EXTM3U\n") and is_playlist(b"# a\nfile x\n")
    assert not is_playlist(b"files of mine") and not is_playlist(b"\0\0\0\x18ftyp")


def test_no_output_is_written_over_what_it_names(tmp_path: Path) -> None:
    write_video(tmp_path / "a.avi", 2)
    path = tmp_path / "list.m3u"
    path.write_text("#EXTM3U\na.avi\n", encoding="utf-8")
    claims = RunInfo(find_targets(path)).own_claims()
    for name in ("a.avi", "list.m3u"):
        with pytest.raises(SettingError, match="which is read; give another name"):
            claims.check(tmp_path / name, "--jsonl")
