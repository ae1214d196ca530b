"""Videos, addresses, cameras and pipelines, each opened by the back end of OpenCV that reads it best."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import Literal

import cv2

__all__ = ["Opening", "has_backend"]


@dataclass(frozen=True)
class Opening:
    """What is to be opened, and how: plain values, which another process can be given.

    Attributes:
        kind: "file", "address", "camera" or "pipeline".
        address: The absolute path, address, index or device file, or GStreamer pipeline; may hold a password.
    """

    kind: Literal["file", "address", "camera", "pipeline"]
    address: str = field(repr=False)

    def open(self, timeout: float) -> cv2.VideoCapture:
        """Opens it; what comes back may not be open.

        Args:
            timeout: Seconds that an address may take to open, and for each frame, as far as OpenCV heeds it.
        """
        address = self.address
        if self.kind == "address":
            return _open_address(address, timeout)
        if self.kind == "camera":
            return _open_camera(int(address) if address.isdecimal() else address)
        if self.kind == "pipeline":
            return cv2.VideoCapture(address, cv2.CAP_GSTREAMER)
        # No back end takes an absolute path for a protocol or pattern.
        return cv2.VideoCapture(address, cv2.CAP_FFMPEG if has_backend(cv2.CAP_FFMPEG) else cv2.CAP_ANY)


def has_backend(api: int) -> bool:
    """Tells whether this OpenCV has a video back end (`cv2.CAP_…`) that it can really load."""
    return bool(cv2.videoio_registry.hasBackend(api))


def _open_address(address: str, timeout: float) -> cv2.VideoCapture:
    if not has_backend(cv2.CAP_FFMPEG):
        return cv2.VideoCapture(address, cv2.CAP_ANY)  # the caller's own deadline is the only limit
    limit = max(1, int(timeout * 1000))
    params = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, limit, cv2.CAP_PROP_READ_TIMEOUT_MSEC, limit]
    return cv2.VideoCapture(address, cv2.CAP_FFMPEG, params)


def _open_camera(camera: int | str) -> cv2.VideoCapture:
    capture = cv2.VideoCapture(camera, cv2.CAP_V4L2 if sys.platform == "linux" else cv2.CAP_ANY)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    return capture
