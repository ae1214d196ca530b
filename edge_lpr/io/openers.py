"""Videos, addresses, cameras and pipelines, each opened by the back end of OpenCV that reads it best."""

from __future__ import annotations

import sys

import cv2

__all__ = ["has_backend", "open_address", "open_camera", "open_file", "open_pipeline"]


def open_file(path: str) -> cv2.VideoCapture:
    """Opens a video file by its absolute path, which no back end takes for a protocol or pattern."""
    return cv2.VideoCapture(path, cv2.CAP_FFMPEG if has_backend(cv2.CAP_FFMPEG) else cv2.CAP_ANY)


def open_address(address: str, timeout: float) -> cv2.VideoCapture:
    """Opens a network address with a time limit, in seconds, on opening and on each frame."""
    if not has_backend(cv2.CAP_FFMPEG):
        return cv2.VideoCapture(address, cv2.CAP_ANY)  # the caller's own deadline is the only limit
    limit = max(1, int(timeout * 1000))
    params = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, limit, cv2.CAP_PROP_READ_TIMEOUT_MSEC, limit]
    return cv2.VideoCapture(address, cv2.CAP_FFMPEG, params)


def open_camera(camera: int | str) -> cv2.VideoCapture:
    """Opens a camera by its index, or on Linux by its device file."""
    capture = cv2.VideoCapture(camera, cv2.CAP_V4L2 if sys.platform == "linux" else cv2.CAP_ANY)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    return capture


def open_pipeline(pipeline: str) -> cv2.VideoCapture:
    """Opens a GStreamer pipeline."""
    return cv2.VideoCapture(pipeline, cv2.CAP_GSTREAMER)


def has_backend(api: int) -> bool:
    """Tells whether this OpenCV has a video back end (`cv2.CAP_…`) that it can really load."""
    return bool(cv2.videoio_registry.hasBackend(api))
