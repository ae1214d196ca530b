"""A capture whose frames are held to the limit in pixels, before they are decoded where that can be told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import cv2
from numpy.typing import NDArray

from edge_lpr.errors import SourceError
from edge_lpr.io.image_header import BYTES_PER_PIXEL, read_header
from edge_lpr.io.image_io import too_many

__all__ = ["Capture", "CheckedCapture"]

# Decoders that work on several frames at once take so many compressed ones ahead at most.
_AHEAD = 64
_PICTURES = frozenset({"mjpg", "jpeg", "jpgl", "ljpg", "avrn", "png ", "mpng", "webp"})
"""Codecs of whose frames each is an image file, with a size of its own."""


class Capture(Protocol):
    """What is used of a `cv2.VideoCapture`; see there."""

    def isOpened(self) -> bool: ...  # noqa: N802, D102 - OpenCV's

    def get(self, propId: int, /) -> float: ...  # noqa: D102

    def grab(self) -> bool: ...  # noqa: D102

    def retrieve(self) -> tuple[bool, NDArray[Any] | None]: ...  # noqa: D102

    def release(self) -> None: ...  # noqa: D102


class CheckedCapture:
    """A `cv2.VideoCapture` that ends in an error where a frame is too large.

    What a container says is checked as it is opened, before a frame is decoded. In Motion JPEG and the like
    each frame has a size of its own: of a file, their headers are read ahead of the decoder. What comes out
    is checked too.

    Args:
        capture: The capture.
        label: What messages call it.
        max_pixels: The largest frame, in pixels of uint8 BGR.
        packets: Opens the same video for its compressed frames; None where it cannot be opened twice.

    Raises:
        SourceError: Its frames are larger.
    """

    def __init__(
        self,
        capture: Capture,
        label: str,
        max_pixels: int,
        packets: Callable[[], Capture | None] | None = None,
    ) -> None:
        self._capture = capture
        self._label = label
        self._max_pixels = max_pixels
        self._packets: Capture | None = None
        if not capture.isOpened():
            return
        try:
            self._check(capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
            if packets is not None and _codec(capture) in _PICTURES:
                self._packets = packets()
                self._look_ahead(_AHEAD)
        except SourceError:
            self.release()
            raise

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        """Tells whether it could be opened."""
        return self._capture.isOpened()

    def get(self, prop: int) -> float:
        """Returns a property; see `cv2.VideoCapture.get`."""
        return self._capture.get(prop)

    def grab(self) -> bool:
        """Goes to the next frame; False where there is none or it is damaged.

        Raises:
            SourceError: A frame to come is too large.
        """
        self._look_ahead(1)
        return self._capture.grab()

    def retrieve(self) -> tuple[bool, NDArray[Any] | None]:
        """Gives the frame that `grab` went to.

        Raises:
            SourceError: It is too large.
        """
        ok, image = self._capture.retrieve()
        if ok and image is not None and image.nbytes > BYTES_PER_PIXEL * self._max_pixels:
            self._check(image.shape[1], image.shape[0], image.nbytes // BYTES_PER_PIXEL)
        return ok, image

    def release(self) -> None:
        """Closes it; may be called twice."""
        self._capture.release()
        if self._packets is not None:
            self._packets.release()
            self._packets = None

    def _look_ahead(self, count: int) -> None:
        for _ in range(count):
            if self._packets is None:
                return
            if not self._packets.grab():
                self._packets.release()
                self._packets = None
                return
            ok, packet = self._packets.retrieve()
            header = read_header(packet.tobytes()) if ok and packet is not None else None
            if header is not None:
                self._check(header.width, header.height, header.counted)

    def _check(self, width: float, height: float, counted: float | None = None) -> None:
        if (width * height if counted is None else counted) > self._max_pixels:
            raise SourceError(
                f"{self._label}: frames of {width:.0f}×{height:.0f} pixels, {too_many(self._max_pixels)}"
            )


def _codec(capture: Capture) -> str:
    code = int(capture.get(cv2.CAP_PROP_FOURCC)) & 0xFFFFFFFF
    return code.to_bytes(4, "little").decode("latin-1").lower()
