"""A small RTSP server that plays a video over and over, and breaks off as often as it is asked to.

    python -m edge_lpr.benchmarks.rtsp_server samples/street.mp4 --fps 25

It sends MPEG-4 (RFC 6416) in RTP over the RTSP connection itself (RFC 2326, interleaved), which is how most
cameras are read. It prints its address, and runs until its standard input ends.
"""

from __future__ import annotations

import re
import socket
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

import cv2

from edge_lpr.console.module_main import Parser, module_main
from edge_lpr.console.output import say
from edge_lpr.errors import SourceError
from edge_lpr.io.sources import open_source

__all__ = ["RtspServer", "mpeg4_frames"]

_PAYLOAD = 1400  # bytes of a frame in one packet, as fits an Ethernet frame
_CLOCK = 90_000  # RTP's clock for video, per second
_SDP = """\
v=0\r
o=- 0 0 IN IP4 127.0.0.1\r
s=edge-lpr\r
t=0 0\r
m=video 0 RTP/AVP 96\r
c=IN IP4 0.0.0.0\r
a=rtpmap:96 MP4V-ES/90000\r
a=fmtp:96 profile-level-id=1\r
a=control:track1\r
"""


def mpeg4_frames(video: str | Path, limit: int = 250) -> list[bytes]:
    """Encodes the first frames of a video as MPEG-4.

    Args:
        video: The video.
        limit: How many frames at most.

    Returns:
        The bytes of each frame; the first one can be decoded by itself.

    Raises:
        SourceError: It cannot be read, or this OpenCV cannot encode it.
    """
    with tempfile.TemporaryDirectory() as folder, open_source(video) as source:
        path = Path(folder) / "street.avi"
        writer: cv2.VideoWriter | None = None
        for _, frame in zip(range(limit), source, strict=False):
            if writer is None:
                size = frame.image.shape[1], frame.image.shape[0]
                writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"FMP4"), 25, size)
            writer.write(frame.image)
        if writer is None or not writer.isOpened():
            raise SourceError(f"{video}: cannot be encoded as MPEG-4; expected a video")
        writer.release()
        return list(_chunks(path.read_bytes()))


def _chunks(avi: bytes) -> Iterator[bytes]:
    """Gives the frames of an AVI file of one stream."""
    place = avi.index(b"movi") + 4
    while place + 8 <= len(avi):
        name, size = struct.unpack_from("<4sI", avi, place)
        if name not in (b"00dc", b"00db"):
            return
        if size:
            yield avi[place + 8 : place + 8 + size]
        place += 8 + size + size % 2


class RtspServer:
    """Serves the same frames to everybody who comes, on 127.0.0.1; a context manager.

    Args:
        frames: See `mpeg4_frames`.
        fps: Frames per second.
        drop_after: Frames after which a connection is broken off; None for never.

    Attributes:
        address: Where it is.
        connections: How many have come.
    """

    def __init__(self, frames: Sequence[bytes], fps: float = 25, drop_after: int | None = None) -> None:
        self._frames = frames
        self._fps = fps
        self._drop_after = drop_after
        self._stop = threading.Event()
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(0.1)
        self.address = f"rtsp://127.0.0.1:{self._server.getsockname()[1]}/live"
        self.connections = 0
        self._thread = threading.Thread(target=self._accept, name="rtsp server")
        self._thread.start()

    def __enter__(self) -> RtspServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Breaks all connections off."""
        self._stop.set()
        self._thread.join()
        self._server.close()

    def _accept(self) -> None:
        talks: list[threading.Thread] = []
        while not self._stop.is_set():
            try:
                connection, _ = self._server.accept()
            except TimeoutError:
                continue
            self.connections += 1
            talks = [talk for talk in talks if talk.is_alive()]
            talks.append(threading.Thread(target=self._talk, args=(connection,)))
            talks[-1].start()
        for talk in talks:
            talk.join()

    def _talk(self, connection: socket.socket) -> None:
        """Answers requests until one asks to play, and plays."""
        with connection:
            connection.settimeout(10)
            try:
                heard = b""
                while not self._stop.is_set():
                    while b"\r\n\r\n" not in heard:
                        more = connection.recv(4096)
                        if not more:
                            return
                        heard += more
                    request, _, heard = heard.partition(b"\r\n\r\n")
                    method = request.split(b" ", 1)[0].decode()
                    connection.sendall(self._answer(method, request.decode()))
                    if method == "PLAY":
                        self._play(connection)
                        return
            except OSError:  # the other side has gone
                return

    def _answer(self, method: str, request: str) -> bytes:
        number = re.search(r"(?i)^cseq:\s*(\d+)", request, re.MULTILINE)
        head = f"RTSP/1.0 200 OK\r\nCSeq: {number[1] if number else 0}\r\n"
        if method == "OPTIONS":
            return f"{head}Public: DESCRIBE, SETUP, PLAY, TEARDOWN\r\n\r\n".encode()
        if method == "DESCRIBE":
            kind = f"Content-Type: application/sdp\r\nContent-Base: {self.address}/\r\n"
            return f"{head}{kind}Content-Length: {len(_SDP)}\r\n\r\n{_SDP}".encode()
        if method == "SETUP":
            return f"{head}Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n\r\n".encode()
        return f"{head}Session: 1\r\n\r\n".encode()

    def _play(self, connection: socket.socket) -> None:
        packet, began = 0, time.monotonic()
        for number in range(self._drop_after or sys.maxsize):
            frame = self._frames[number % len(self._frames)]
            stamp = round(number * _CLOCK / self._fps) & 0xFFFFFFFF
            for start in range(0, len(frame), _PAYLOAD):
                last = start + _PAYLOAD >= len(frame)
                head = struct.pack(">BBHII", 0x80, 96 | (0x80 if last else 0), packet & 0xFFFF, stamp, 1)
                body = head + frame[start : start + _PAYLOAD]
                connection.sendall(struct.pack(">cBH", b"$", 0, len(body)) + body)
                packet += 1
            if self._stop.wait(max(0.0, began + (number + 1) / self._fps - time.monotonic())):
                return


@module_main("benchmarks.rtsp_server")
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the server; see the module's text."""
    parser = Parser(
        prog="python -m edge_lpr.benchmarks.rtsp_server",
        description=(__doc__ or "").split("\n\n", maxsplit=1)[0],
    )
    parser.add_argument("video", help="what it plays")
    parser.add_argument("--fps", type=float, default=25, help="frames per second (default 25)")
    parser.add_argument("--drop-after", type=int, metavar="N", help="break a connection off after N frames")
    args = parser.parse_args(argv)
    with RtspServer(mpeg4_frames(args.video), args.fps, args.drop_after) as server:
        say(server.address)
        sys.stdin.read()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
