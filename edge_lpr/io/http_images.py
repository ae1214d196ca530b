"""Cameras that give images by HTTP: one at each request (a snapshot), or one after the other (Motion JPEG).

OpenCV would take a snapshot for a video of one frame, and loses the last frames of Motion JPEG whenever the
connection ends.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable, Iterator
from typing import Literal

from edge_lpr.errors import SourceError
from edge_lpr.io.capture_options import CaptureOptions
from edge_lpr.io.decoder import Decoded, Decoder
from edge_lpr.io.http_body import HttpBody
from edge_lpr.io.http_client import HttpClient, NotHttpError, UnreachableError
from edge_lpr.io.image_io import decode_image
from edge_lpr.io.sniff import HEAD, is_image
from edge_lpr.io.video_decoder import VideoDecoder

__all__ = ["MAX_IMAGE_BYTES", "SnapshotDecoder", "open_images"]

MAX_IMAGE_BYTES = 64 << 20
"""Most bytes of an image."""
_TRIES = 3  # requests on end that may fail before the camera counts as lost
_LOOK_SECONDS = 0.25  # between two looks whether it is to go on
_UNSAID = ("", "application/octet-stream", "binary/octet-stream", "text/plain", "text/html")
"""Types that servers name where they do not know what they give."""


def open_images(address: str, label: str, options: CaptureOptions) -> Decoder | Literal["other"] | None:
    """Asks an http or https address, and finds out what it gives.

    Args:
        address: It; may hold a password.
        label: What messages call it.
        options: See `CaptureOptions`.

    Returns:
        What decodes its images; "other" for what are no images; None where nothing answers.

    Raises:
        SourceError: It answers with an error, or its images are too large.
    """
    try:
        client = HttpClient(address, label, options.timeout, options.any_certificate)
        response = client.get()
        kind = response.headers.get_content_type() if response.headers.get("Content-Type") else ""
        if kind.startswith("multipart/"):
            stream = _Stream(HttpBody(response, label), label, options.timeout)
            return VideoDecoder(stream, label, options, True, "mpjpeg", MAX_IMAGE_BYTES)
        with response:
            if not (kind.startswith("image/") or kind in _UNSAID):
                return "other"
            first = _image(HttpBody(response, label), label, options.timeout)
    except NotHttpError:
        return "other"
    except (UnreachableError, OSError):
        return None
    return "other" if first is None else SnapshotDecoder(client, first, label, options)


class SnapshotDecoder(Decoder):
    """Asks for an image at an interval.

    Args:
        client: Whom to ask.
        first: The image that was given already.
        label: What messages call it.
        options: See `CaptureOptions`.
    """

    def __init__(self, client: HttpClient, first: bytes, label: str, options: CaptureOptions) -> None:
        super().__init__(label, options.stride, options.max_pixels)
        self.live = True
        self.pause = options.snapshot_interval
        self.fps = 1 / self.pause
        self._client = client
        self._first: bytes | None = first
        self._timeout = options.timeout

    def frames(self, go_on: Callable[[], bool]) -> Iterator[Decoded]:
        """Gives the images; see `Decoder.frames`.

        Raises:
            SourceError: Several requests on end have failed.
        """
        began = due = time.monotonic()
        failed = 0
        while self._wait(due, go_on):
            asked = time.monotonic()
            try:
                data, self._first = self._first or self._ask(), None
                index = self._count(asked - began)
                if index % self._stride == 0:
                    image = decode_image(data, self._label, self._max_pixels)
                    yield Decoded(image, index, self.seconds)
                failed = 0
            except SourceError:
                failed += 1
                self.skipped += 1
                if failed >= _TRIES:
                    raise
            due = max(due + self.pause, time.monotonic())

    def close(self) -> None:
        """Does nothing: no connection is kept between two requests."""

    def _ask(self) -> bytes:
        try:
            with self._client.get() as response:
                data = _image(HttpBody(response, self._label), self._label, self._timeout)
        except (UnreachableError, NotHttpError, OSError) as e:
            raise SourceError(f"{self._label}: no answer to {_TRIES} requests") from e
        if data is None:
            raise SourceError(f"{self._label}: no image any more")
        return data

    def _wait(self, due: float, go_on: Callable[[], bool]) -> bool:
        while go_on():
            left = due - time.monotonic()
            if left <= 0:
                return True
            time.sleep(min(left, _LOOK_SECONDS))
        return False


class _Stream:
    """An answer without end, as far as it has come."""

    def __init__(self, body: HttpBody, label: str, timeout: float) -> None:
        self._body = body
        self._late = f"{label}: no frame for {timeout:g} s"

    def read(self, size: int, /) -> bytes:
        try:
            return self._body.read1(size)
        except TimeoutError as e:
            raise SourceError(self._late) from e
        except (OSError, http.client.HTTPException):  # it has gone: what came before is whole
            return b""

    def close(self) -> None:
        self._body.close()


def _image(body: HttpBody, label: str, timeout: float) -> bytes | None:
    """Reads an answer that is one image; None where it is none, or the first of several.

    Raises:
        SourceError: It is larger than an image, takes longer than an answer may, or cannot be unpacked.
    """
    until = time.monotonic() + timeout
    data = bytearray()
    try:
        while block := body.read1(1 << 16):
            data += block
            if len(data) >= 16 and not is_image(bytes(data[:HEAD])):
                return None
            # JPEG files on end, without anything between them, are a stream.
            if b"\xff\xd9\xff\xd8" in data[-len(block) - 3 :]:
                return None
            if len(data) > MAX_IMAGE_BYTES:
                raise SourceError(f"{label}: an image of more than {MAX_IMAGE_BYTES >> 20} MB")
            if time.monotonic() > until:
                raise SourceError(f"{label}: an image took longer than {timeout:g} s (--timeout)")
    except http.client.HTTPException:  # cut short: whoever decodes it says so
        pass
    return bytes(data) if is_image(bytes(data[:HEAD])) else None
