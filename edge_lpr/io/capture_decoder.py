"""Cameras, pipelines and most addresses, by `cv2.VideoCapture`.

OpenCV and not PyAV for what is live: V4L2 and GStreamer are in it, an OpenCV built on a Jetson has that
machine's decoders, and ``OPENCV_FFMPEG_CAPTURE_OPTIONS`` is what people set up cameras with.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_lpr.io.capture_options import CaptureOptions
from edge_lpr.io.decoder import DEFAULT_FPS, Decoded, Decoder

__all__ = ["Capture", "CaptureDecoder"]

# Tries to get past damage in what has an end: ten seconds of it. At the end they cost nothing.
_BROKEN_FILE = 250
_BROKEN_LIVE = 4  # each may take as long as the time limit


class Capture(Protocol):
    """What is used of a `cv2.VideoCapture`; see there."""

    def get(self, propId: int, /) -> float: ...  # noqa: D102

    def grab(self) -> bool: ...  # noqa: D102

    def retrieve(self) -> tuple[bool, NDArray[Any] | None]: ...  # noqa: D102

    def release(self) -> None: ...  # noqa: D102


class CaptureDecoder(Decoder):
    """Decodes what OpenCV has opened.

    Args:
        capture: An open capture.
        label: What messages call it.
        live: Whether it is live; None finds out: what knows its number of frames is read like a file.
        options: See `CaptureOptions`.

    Raises:
        SourceError: Its frames are larger than the options allow.
    """

    def __init__(self, capture: Capture, label: str, live: bool | None, options: CaptureOptions) -> None:
        super().__init__(label, options.stride, options.max_pixels)
        self._capture = capture
        count, fps = capture.get(cv2.CAP_PROP_FRAME_COUNT), capture.get(cv2.CAP_PROP_FPS)
        known = math.isfinite(count) and 0 < count < 1e9
        self.live = not known if live is None else live
        self.fps = float(fps) if math.isfinite(fps) and 0 < fps <= 1000 else None
        self.promised = int(count) if known and not self.live else 0
        try:
            self._check_size(capture.get(cv2.CAP_PROP_FRAME_WIDTH), capture.get(cv2.CAP_PROP_FRAME_HEIGHT))
        except BaseException:
            self.close()
            raise

    def frames(self, go_on: Callable[[], bool]) -> Iterator[Decoded]:
        """Gives the frames; see `Decoder.frames`."""
        while self._grab(go_on):
            index = self._count(self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000)
            if index % self._stride:
                continue
            ok, image = self._capture.retrieve()
            if not ok or image is None or image.size == 0:
                self.skipped += 1
                continue
            if image.ndim == 2:
                image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
            shown = np.asarray(image, np.uint8)
            self._check_image(shown)
            yield Decoded(shown, index, self.seconds)

    def close(self) -> None:
        """Closes the capture; may be called twice."""
        self._capture.release()

    def ends_early(self) -> bool:
        """Tells whether what has an end has ended long before it said it would."""
        # A count may be an estimate (length × rate), wrong for a variable rate: the clock must agree.
        promised, step = self.promised, 1 / (self.fps or DEFAULT_FPS)
        short = self.received < promised - max(2, 0.02 * promised)
        return short and self.seconds + step < 0.98 * promised * step - 0.1

    def _grab(self, go_on: Callable[[], bool]) -> bool:
        """Goes to the next frame that can be decoded; False at the end.

        A damaged frame makes `grab` fail exactly as the end does; only what comes after tells them apart.
        """
        for failed in range(_BROKEN_LIVE if self.live else _BROKEN_FILE):
            if not go_on() or (failed and 0 < self.promised <= self.received):
                return False
            if self._capture.grab():
                self.skipped += failed
                self.received += failed
                return True
        return False
