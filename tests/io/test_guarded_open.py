"""What FFmpeg may take a source for: files that hold their own video, addresses that lead to no file."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from helpers.waiting import LONG

from edge_lpr.errors import SourceError
from edge_lpr.io import guarded_open
from edge_lpr.io.capture_options import CaptureOptions
from edge_lpr.io.guarded_open import open_address, open_video
from edge_lpr.io.sniff import VIDEO_SUFFIXES
from edge_lpr.io.sources import open_source

VARIABLE = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
# A control character in a comment: what tells a video from a text has been fooled.
COMMENT = "#\x01\n"


def write_video(path: Path, frames: int = 8) -> Path:
    code = {".avi": "MJPG", ".mkv": "MJPG", ".ts": "mpg2"}.get(path.suffix, "mp4v")
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), 25, (64, 48))
    assert writer.isOpened()
    for i in range(frames):
        writer.write(np.full((48, 64, 3), 20 * i, np.uint8))
    writer.release()
    return path


Playlist = Callable[[str], str]


def hls(target: str) -> str:
    head = f"#EXTM3U\n{COMMENT}#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:9\n"
    return f"{head}#EXTINF:9,\n{target}\n#EXT-X-ENDLIST\n"


def concat(target: str) -> str:
    return f"ffconcat version 1.0\n{COMMENT}file {target}\n"


class Server:
    """An address that gives one content to all who connect, and counts them.

    Attributes:
        asked: How often it was.
    """

    def __init__(self, content: bytes, http: bool = True) -> None:
        self.asked = 0
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(content)}\r\n\r\n" if http else ""
        self._answer = head.encode() + content
        self._http = http
        self._stop = threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(0.1)
        self.address = f"{'http' if http else 'tcp'}://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)

    def _serve(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(OSError), self._socket.accept()[0] as connection:
                self.asked += 1
                if self._http:
                    connection.recv(4096)
                connection.sendall(self._answer)

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._socket.close()


@pytest.mark.parametrize("suffix", sorted(VIDEO_SUFFIXES & {".mp4", ".avi", ".mkv", ".mov", ".m4v"}))
def test_containers_are_opened(tmp_path: Path, suffix: str) -> None:
    path = str(write_video(tmp_path / f"v{suffix}"))
    with open_video(path, path) as container:
        assert next(container.decode(video=0)).width == 64
    assert VARIABLE not in os.environ


@pytest.mark.parametrize("make", [hls, concat])
@pytest.mark.parametrize("head", [b"", b"\xef\xbb\xbf", b"ID3\x04\0\0\0\0\0\x0a" + bytes(10)])
@pytest.mark.parametrize("name", ["clip.mp4", "clip.avi"])
def test_a_playlist_in_a_file_leads_nowhere(tmp_path: Path, make: Playlist, head: bytes, name: str) -> None:
    write_video(tmp_path / "secret.mkv")
    with Server(b"") as server:
        for target in ("secret.mkv", str(tmp_path / "secret.mkv"), f"{server.address}/x.ts"):
            path = tmp_path / name
            path.write_bytes(head + make(target).encode())
            with pytest.raises(SourceError, match="cannot be opened"):
                open_video(str(path), "v")
            with path.open("rb") as file, pytest.raises(SourceError, match="cannot be opened"):
                open_video(file, "v")
            with pytest.raises(SourceError, match=r"a playlist, which names|cannot be opened"):
                open_source(path)
    assert server.asked == 0


def test_a_pattern_in_a_name_is_no_pattern(tmp_path: Path) -> None:
    for i in range(3):
        cv2.imwrite(str(tmp_path / f"{i}.jpg"), np.zeros((48, 64, 3), np.uint8))
    (tmp_path / "%d.jpg").write_bytes(b"\0" * 4096)
    with pytest.raises(SourceError, match="cannot be opened"):
        open_video(str(tmp_path / "%d.jpg"), "v")


@pytest.mark.parametrize("http", [True, False], ids=["http", "tcp"])
@pytest.mark.parametrize("make", [hls, concat])
def test_a_playlist_at_an_address_leads_to_no_file(tmp_path: Path, make: Playlist, http: bool) -> None:
    secret = write_video(tmp_path / "secret.mkv")
    for target in (str(secret), f"file://{secret}", f"file:{secret}"):
        with Server(make(target).encode(), http) as server:
            capture = open_address(f"{server.address}/list.m3u8", LONG)
            assert not (capture.isOpened() and capture.grab())
        assert server.asked


def test_a_playlist_at_an_address_leads_to_addresses(tmp_path: Path) -> None:
    media = Server(write_video(tmp_path / "v.ts").read_bytes())
    with media, Server(hls(f"{media.address}/v.ts").encode()) as server:
        capture = open_address(f"{server.address}/list.m3u8", LONG)
        assert capture.isOpened() and capture.grab()
        capture.release()
    assert media.asked


def test_what_the_users_environment_says_goes_before(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, str]] = []

    def opened(*given: Any, **_: object) -> object:
        told = os.environ[VARIABLE].split("|")
        seen.append(given[3] if len(given) > 3 else dict(pair.split(";") for pair in told))
        raise RuntimeError

    monkeypatch.setattr(guarded_open.cv2, "VideoCapture", opened)
    monkeypatch.setattr(av, "open", opened)
    monkeypatch.setenv(VARIABLE, "rtsp_transport;udp|protocol_whitelist;file,pipe")
    for call in (lambda: open_video("x", "x"), lambda: open_address("rtsp://x", 1)):
        with pytest.raises(RuntimeError):
            call()
    assert seen[0]["protocol_whitelist"] == "file,pipe" and seen[0]["format_whitelist"].startswith("mov,")
    assert seen[1] == {
        "rtsp_transport": "udp",
        "protocol_whitelist": "file,pipe",
        "rtsp_flags": "prefer_tcp",
    }
    assert os.environ[VARIABLE] == "rtsp_transport;udp|protocol_whitelist;file,pipe"


def test_options_are_those_of_one_source(tmp_path: Path) -> None:
    with open_source(write_video(tmp_path / "v.mp4"), CaptureOptions()) as source:
        assert len(list(source)) == 8
    assert VARIABLE not in os.environ
