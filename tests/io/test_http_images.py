"""Cameras that give pictures by HTTP, with real sockets on 127.0.0.1: snapshots and Motion JPEG."""

from __future__ import annotations

import base64
import gzip
import hashlib
import itertools
import re
import socket
import ssl
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from helpers.certificates import make_certificate
from helpers.extras import reason
from helpers.service import SAMPLE
from helpers.waiting import LONG, read_until, take

from edge_lpr.errors import SourceError
from edge_lpr.io import http_images, live_source
from edge_lpr.io.capture_options import CaptureOptions
from edge_lpr.io.decoder import Decoded, Decoder
from edge_lpr.io.http_images import SnapshotDecoder, open_images
from edge_lpr.io.live_source import LiveSource
from edge_lpr.io.sources import open_source
from edge_lpr.io.video_decoder import VideoDecoder

QUICK = CaptureOptions(timeout=LONG, snapshot_interval=0.05, max_pause=0.1)
NONCE = "5f2a"


def picture(value: int, suffix: str = ".jpg") -> bytes:
    return bytes(cv2.imencode(suffix, np.full((48, 64, 3), value, np.uint8))[1])


class Plain:
    """Packs nothing, by the names of `zlib`'s."""

    def compress(self, data: bytes) -> bytes:
        return data

    def flush(self, mode: int = 0) -> bytes:
        return b""


class Server(ThreadingHTTPServer):
    """What a camera does, as the tests set it.

    Attributes:
        kind: The Content-Type; None sends none.
        says: The status of what comes.
        auth: "Basic", "MD5" or "SHA-256" where it asks for a password.
        to: Where it redirects to.
        body: What it gives; None is a picture that is brighter with each request.
        once: What it gives before that, each once.
        multipart: Frames of Motion JPEG after which the connection ends; 0 gives one picture.
        lengths: Whether each part has its Content-Length.
        coding: The Content-Encoding of everything, which nobody asked for; "" is none.
        packer: Makes what packs an answer.
        asked: How often it gave something.
        authorised: The Authorization headers that came.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.kind: str | None = "image/jpeg"
        self.says, self.auth, self.to, self.multipart, self.lengths = 200, "", "", 0, True
        self.coding = ""
        self.packer: Callable[[], Any] = Plain
        self.body: bytes | None = None
        self.once: list[bytes] = []
        self.asked = 0
        self.value = itertools.count(10, 10)
        self.authorised: list[str] = []
        self.scheme = "http"

    def address(self, login: str = "", path: str = "/snap.cgi?channel=1") -> str:
        return f"{self.scheme}://{login}127.0.0.1:{self.server_address[1]}{path}"

    def handle_error(self, *_: object) -> None:
        """A camera says nothing when somebody leaves."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        server = self.server
        given = self.headers.get("Authorization", "")
        server.authorised.append(given)
        if server.to and self.path != server.to:
            return self.answer(302, [("Location", server.to)], b"")
        if server.auth and not self.is_right(given):
            asks = (
                'Basic realm="cam"'
                if server.auth == "Basic"
                else (f'Digest realm="cam", nonce="{NONCE}", qop="auth", algorithm={server.auth}')
            )
            return self.answer(401, [("WWW-Authenticate", asks)], b"")
        server.asked += 1
        if server.multipart:
            return self.stream(server.multipart)
        body = server.once.pop(0) if server.once else server.body
        if body is None:
            body = picture(next(server.value) % 250)
        kind = [] if server.kind is None else [("Content-Type", server.kind)]
        return self.answer(server.says, kind, body)

    def answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if self.server.coding:
            self.send_header("Content-Encoding", self.server.coding)
        self.end_headers()
        self.pack = self.server.packer()
        self.packed(body)
        if not self.server.multipart:
            self.wfile.write(self.pack.flush())

    def stream(self, count: int) -> None:
        self.answer(200, [("Content-Type", "multipart/x-mixed-replace; boundary=xx")], b"")
        for _ in range(count):
            data = self.server.body or picture(next(self.server.value) % 250)
            length = f"Content-Length: {len(data)}\r\n" if self.server.lengths else ""
            self.packed(f"--xx\r\nContent-Type: image/jpeg\r\n{length}\r\n".encode() + data + b"\r\n")

    def packed(self, data: bytes) -> None:
        self.wfile.write(self.pack.compress(data))
        if self.server.multipart:
            self.wfile.write(self.pack.flush(zlib.Z_SYNC_FLUSH))

    def is_right(self, given: str) -> bool:
        if self.server.auth == "Basic":
            return given == "Basic " + base64.b64encode(b"admin:p@ss/1").decode()
        hashed = hashlib.md5 if self.server.auth == "MD5" else hashlib.sha256

        def digest(text: str) -> str:
            return hashed(text.encode()).hexdigest()

        parts = dict(re.findall(r'(\w+)="?([^",]*)"?', given))
        if not parts:
            return False
        first, second = digest("admin:cam:p@ss/1"), digest(f"GET:{self.path}")
        middle = ":".join(parts[name] for name in ("nonce", "nc", "cnonce", "qop"))
        return parts["response"] == digest(f"{first}:{middle}:{second}")


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def opened(server: Server, options: CaptureOptions = QUICK, **address: str) -> Decoder:
    decoder = open_images(server.address(**address), "cam", options)
    assert isinstance(decoder, Decoder)
    return decoder


def values(decoder: Decoder, count: int) -> list[int]:
    return [round(float(one.image.mean()) / 10) for one in itertools.islice(frames(decoder), count)]


def frames(decoder: Decoder) -> Iterator[Decoded]:
    return decoder.frames(lambda: True)


@pytest.mark.parametrize("kind", ["image/jpeg", "image/png", "application/octet-stream", "text/html", None])
def test_an_address_that_gives_a_picture_is_asked_again_and_again(server: Server, kind: str | None) -> None:
    server.kind = kind
    decoder = opened(server)
    assert isinstance(decoder, SnapshotDecoder) and decoder.live and decoder.pause == 0.05
    assert values(decoder, 4) == [1, 2, 3, 4]  # the picture by which it was known is the first


def test_it_is_asked_at_the_interval(server: Server) -> None:
    decoder = opened(server, CaptureOptions(timeout=LONG, snapshot_interval=0.2))
    began = time.monotonic()
    found = list(itertools.islice(frames(decoder), 4))
    assert time.monotonic() - began > 0.55 and server.asked == 4
    assert [one.index for one in found] == [0, 1, 2, 3] and found[3].seconds > 0.5
    assert CaptureOptions().snapshot_interval == 1.0


def test_between_two_pictures_it_ends_when_it_is_told_to(server: Server) -> None:
    decoder = opened(server, CaptureOptions(snapshot_interval=3600))
    asked = itertools.count()
    assert len(list(decoder.frames(lambda: next(asked) < 3))) == 1


@pytest.mark.parametrize("auth", ["Basic", "MD5", "SHA-256"])
def test_user_and_password(server: Server, auth: str) -> None:
    server.auth = auth
    assert values(opened(server, login="admin:p%40ss%2F1@"), 2) == [1, 2]
    with pytest.raises(SourceError, match="cam: the camera answers 401 Unauthorized; wrong user or password"):
        opened(server, login="admin:wrong@")


def test_the_password_goes_to_no_other_host(server: Server) -> None:
    with Server() as other:
        thread = threading.Thread(target=other.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        other.auth = "Basic"
        server.to = other.address()
        with pytest.raises(SourceError, match="401 Unauthorized; it redirects to another host"):
            opened(server, login="admin:p%40ss%2F1@")
        assert other.authorised == [""]
        other.auth = ""
        assert values(opened(server, login="admin:p%40ss%2F1@"), 2) == [1, 2]
        assert set(other.authorised) == {""}
        other.shutdown()
        thread.join()


@pytest.mark.parametrize("auth", ["Basic", "MD5"])
def test_the_password_goes_to_every_path_of_its_host(server: Server, auth: str) -> None:
    server.auth, server.to = auth, "/pictures/1.jpg"
    assert values(opened(server, login="admin:p%40ss%2F1@", path="/cgi-bin/snap"), 2) == [1, 2]


@pytest.mark.parametrize("to", ["file:///etc/passwd", "ftp://127.0.0.1/x.jpg", "rtsp://127.0.0.1/1"])
def test_a_redirection_leads_to_http_alone(server: Server, to: str) -> None:
    server.to = to
    expected = "cam: (redirected from http to ftp; give|the camera answers 302 Found; it leads to where)"
    with pytest.raises(SourceError, match=expected):
        opened(server)


def test_redirections_without_end(server: Server) -> None:
    server.to = server.address()
    with pytest.raises(SourceError, match="cam: the camera answers 302"):
        opened(server)
    assert len(server.authorised) < 20


@pytest.mark.parametrize(("says", "hint"), [(404, "404 Not Found; wrong path"), (503, "503 Service Unav")])
def test_an_error_is_named(server: Server, says: int, hint: str) -> None:
    server.says = says
    with pytest.raises(SourceError, match=f"cam: the camera answers {hint}"):
        opened(server)


def test_what_is_no_picture_is_left_to_others(server: Server) -> None:
    for kind, body in (
        ("video/mp2t", b"G" * 600),
        ("application/vnd.apple.mpegurl", b"#EXTM3U\n"),
        ("text/html", b"<html>log in</html>" * 9),
        (None, b"FLV\1" + bytes(90)),
        ("image/jpeg", 3 * picture(9)),  # one after the other
    ):
        server.kind, server.body = kind, body
        assert open_images(server.address(), "cam", QUICK) == "other"


def test_what_does_not_answer_is_none() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.listen()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/1.jpg"
        assert open_images(address, "cam", CaptureOptions(timeout=0.2)) is None
    assert open_images(address, "cam", CaptureOptions(timeout=0.2)) is None
    assert open_images("http://u:pa/ss@h:x/1", "cam", QUICK) == "other"


def test_a_picture_is_bounded(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_images, "MAX_IMAGE_BYTES", 1 << 20)
    server.body = picture(9) + bytes(3 << 20)
    with pytest.raises(SourceError, match="cam: an image of more than 1 MB"):
        opened(server)


@pytest.mark.parametrize("lengths", [True, False])
def test_a_picture_of_motion_jpeg_is_bounded(
    server: Server, monkeypatch: pytest.MonkeyPatch, lengths: bool
) -> None:
    monkeypatch.setattr(http_images, "MAX_IMAGE_BYTES", 1 << 20)
    server.multipart, server.lengths = 9, lengths
    server.body = picture(9) + bytes(200_000)
    with closing(opened(server)) as decoder:
        assert len(list(decoder.frames(lambda: True))) == 9  # each, and not all together
    server.body = picture(9) + bytes(3 << 20)
    with (
        pytest.raises(SourceError, match="cam: an image of more than 1 MB"),
        closing(opened(server)) as decoder,
    ):
        list(decoder.frames(lambda: True))


PACKED = [("gzip", 31), ("x-gzip", 31), ("deflate", 15), ("deflate", -15)]


@pytest.mark.parametrize(("coding", "bits"), PACKED, ids=["gzip", "x-gzip", "deflate", "bare deflate"])
@pytest.mark.parametrize("multipart", [0, 3], ids=["snapshot", "motion jpeg"])
def test_what_is_packed_unasked_is_read_all_the_same(
    server: Server, coding: str, bits: int, multipart: int
) -> None:
    server.coding, server.multipart = coding, multipart
    server.packer = lambda: zlib.compressobj(wbits=bits)
    decoder = opened(server, QUICK)
    assert values(decoder, 3) == [1, 2, 3]
    decoder.close()


def test_what_is_packed_is_bounded_as_it_is_unpacked(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_images, "MAX_IMAGE_BYTES", 1 << 20)
    server.coding, server.body = "gzip", gzip.compress(picture(9) + bytes(64 << 20), 1)
    with pytest.raises(SourceError, match="cam: an image of more than 1 MB"):
        opened(server, QUICK)


@pytest.mark.parametrize("kind", ["image/jpeg", "multipart/x-mixed-replace; boundary=xx"])
def test_what_cannot_be_unpacked_is_named(server: Server, kind: str) -> None:
    server.kind, server.coding = kind, "br"
    with pytest.raises(SourceError, match="cam: the camera packs what it gives as 'br'; expected none, gzip"):
        opened(server, QUICK)


def test_what_is_packed_and_damaged_is_named(server: Server) -> None:
    server.coding, server.body = "gzip", b"\x1f\x8b\x08" + bytes(7) + b"\xff" * 90
    with pytest.raises(SourceError, match="cam: what the camera gives as gzip cannot be unpacked"):
        opened(server, QUICK)


def test_a_camera_that_packs_is_not_lost(server: Server) -> None:
    said: list[str] = []
    server.coding = "gzip"
    server.packer = lambda: zlib.compressobj(wbits=31)
    with open_source(server.address(), QUICK, said.append) as source:
        assert isinstance(source, LiveSource)
        first, second = take(source, 2)
        assert first.index < second.index
        assert source.losses == 0 and said == []


def test_a_picture_has_the_limit_in_pixels(server: Server) -> None:
    decoder = opened(server, CaptureOptions(snapshot_interval=0.05, max_pixels=64 * 48 - 1))
    with pytest.raises(SourceError, match="cam: 64×48 pixels, more than the limit"):
        next(frames(decoder))


def test_two_bad_answers_are_no_loss_and_three_are(server: Server) -> None:
    decoder = opened(server)
    shown = frames(decoder)
    next(shown)
    server.once = 2 * [b"\xff\xd8\xff" + bytes(40)]  # no picture
    assert next(shown).index == 3 and decoder.skipped == 2
    server.says = 503
    with pytest.raises(SourceError, match="cam: the camera answers 503"):
        list(shown)


def certified(folder: Path) -> ssl.SSLContext:
    """A context with a certificate that signs itself, as a camera has it."""
    pytest.importorskip("cryptography", reason=reason("cryptography", "sign"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*make_certificate(folder))
    return context


def test_a_certificate_that_nobody_trusts(server: Server, tmp_path: Path) -> None:
    server.socket = certified(tmp_path).wrap_socket(server.socket, server_side=True)
    server.scheme = "https"
    with pytest.raises(SourceError, match=r"cam: its certificate is not trusted \(.*--any-certificate"):
        opened(server)
    assert not server.authorised
    options = CaptureOptions(snapshot_interval=0.05, any_certificate=True)
    assert values(opened(server, options), 2) == [1, 2]
    server.to = server.address().replace("https", "http")
    with pytest.raises(SourceError, match="cam: redirected from https to http"):
        opened(server, options)


@pytest.mark.parametrize("lengths", [True, False])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_motion_jpeg_loses_no_frame_where_its_connection_ends(
    server: Server, count: int, lengths: bool
) -> None:
    server.multipart, server.lengths = count, lengths
    found: list[int] = []
    for _ in range(3):
        decoder = opened(server)
        assert isinstance(decoder, VideoDecoder) and decoder.live
        found += values(decoder, 99)
        decoder.close()
    assert found == list(range(1, 3 * count + 1)) and server.asked == 3


def test_motion_jpeg_in_pieces_shows_each_frame_when_it_is_there() -> None:
    # A frame is given before the next one begins, also where nothing says how long it is.
    data = picture(100)
    head = b"HTTP/1.0 200 OK\r\nContent-Type: multipart/x-mixed-replace;boundary=b\r\n\r\n"
    part = b"--b\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(data)
    with socket.create_server(("127.0.0.1", 0)) as camera:
        done = threading.Event()

        def serve() -> None:
            connection, _ = camera.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(head + part + data + b"\r\n")
                done.wait()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            address = f"http://127.0.0.1:{camera.getsockname()[1]}/"
            decoder = open_images(address, "cam", CaptureOptions(timeout=60))
            assert isinstance(decoder, VideoDecoder)
            assert round(float(next(frames(decoder)).image.mean())) == 100
        finally:
            done.set()
            thread.join()
        decoder.close()


def test_a_snapshot_camera_is_lost_and_comes_back_as_any_other(server: Server) -> None:
    said: list[str] = []
    server.auth = "MD5"
    address = server.address("admin:p%40ss%2F1@")
    with open_source(address, QUICK, said.append) as source:
        assert isinstance(source, LiveSource)
        first = take(source)[0]
        assert source.live and source.fps == pytest.approx(20) and first.wall is not None
        server.says = 503
        read_until(source, lambda: said and source.losses)
        assert source.losses == 1 and "source lost after" in said[0] and "answers 503" in said[0]
        server.says = 200
        assert take(source)[0].index > first.index and "back after" in said[1]
    assert "p@ss" not in "".join(said) and "***@127.0.0.1" in said[0]


def test_a_video_whose_index_is_never_reached_says_what_to_do(server: Server) -> None:
    # The whole of it, whatever part is asked for.
    server.kind, server.body = "video/mp4", SAMPLE.read_bytes()
    with (
        open_source(server.address(path="/street.mp4"), QUICK) as source,
        pytest.raises(SourceError, match=r"opened, but no frame .* index is at its end.*; download it"),
    ):
        take(source)


def test_a_long_interval_is_no_loss(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_source, "_SLACK", 0.0)
    said: list[str] = []
    options = CaptureOptions(timeout=2.5, snapshot_interval=3.0)
    with open_source(server.address(), options, said.append) as source:
        assert isinstance(source, LiveSource)
        take(source)
        assert take(source)[0].index == 1 and source.losses == 0 and said == []
