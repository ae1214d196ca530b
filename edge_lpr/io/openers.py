"""Videos, addresses, cameras and pipelines, each opened by the back end of OpenCV that reads it best.

FFmpeg opens whatever a file or stream names: a playlist, be it in a file called .mp4, leads it to other files
and to addresses. So it is told what it may take a source for: a file is one of the containers that hold a
video themselves, and is all that is opened; an address may lead to other addresses, never to a file.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import cv2

__all__ = [
    "has_backend",
    "nothing_opening",
    "open_address",
    "open_camera",
    "open_file",
    "open_packets",
    "open_pipeline",
]

_VARIABLE = "OPENCV_FFMPEG_CAPTURE_OPTIONS"
# FFmpeg's names of the containers, and of the codecs that go without one, that cameras, phones and recorders
# write. Not among them is what names other files: hls, concat, dash, imf, sdp, image2 (patterns), …
_CONTAINERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpegtsraw,mpeg,mpegvideo,flv,live_flv,kux,asf,asf_o,ogg,"
    "dhav,mxf,nut,ivf,gif,apng,h264,hevc,vvc,m4v,h263,h261,vc1,vc1test,obu,av1,mjpeg,jpeg_pipe,mpjpeg,"
    "ingenient,yuv4mpegpipe,dv,gxf,rm,wtv,xmv,avs2,avs3,cavsvideo,dirac"
)
_PROTOCOLS = (
    "http,https,httpproxy,tcp,tls,udp,udplite,rtp,srtp,srt,crypto,rtmp,rtmps,rtmpe,rtmpt,rtmpte,rtmpts,"
    "ffrtmpcrypt,ffrtmphttp"
)
_FILE = {"protocol_whitelist": "file", "format_whitelist": _CONTAINERS}
# The first is what OpenCV asks for where it is told nothing.
_ADDRESS = {"rtsp_flags": "prefer_tcp", "protocol_whitelist": _PROTOCOLS}
# OpenCV takes the options from the environment, while it opens. It opens one capture at a time itself.
_opening = threading.Lock()


def open_file(path: str) -> cv2.VideoCapture:
    """Opens a video file by its absolute path, which no back end takes for a protocol or pattern."""
    with _ffmpeg_options(_FILE):
        return cv2.VideoCapture(path, cv2.CAP_FFMPEG if has_backend(cv2.CAP_FFMPEG) else cv2.CAP_ANY)


def open_packets(path: str) -> cv2.VideoCapture | None:
    """Opens a video file for its compressed frames; None where this OpenCV cannot give them."""
    if not has_backend(cv2.CAP_FFMPEG):
        return None
    with _ffmpeg_options(_FILE):
        capture = cv2.VideoCapture(path, cv2.CAP_FFMPEG)
    return capture if capture.isOpened() and capture.set(cv2.CAP_PROP_FORMAT, -1) else None


def open_address(address: str, timeout: float) -> cv2.VideoCapture:
    """Opens a network address with a time limit, in seconds, on opening and on each frame."""
    if not has_backend(cv2.CAP_FFMPEG):
        return cv2.VideoCapture(address, cv2.CAP_ANY)  # the caller's own deadline is the only limit
    limit = max(1, int(timeout * 1000))
    params = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, limit, cv2.CAP_PROP_READ_TIMEOUT_MSEC, limit]
    with _ffmpeg_options(_ADDRESS):
        return cv2.VideoCapture(address, cv2.CAP_FFMPEG, params)


def open_camera(camera: int | str) -> cv2.VideoCapture:
    """Opens a camera by its index, or on Linux by its device file."""
    capture = cv2.VideoCapture(camera, cv2.CAP_V4L2 if sys.platform == "linux" else cv2.CAP_ANY)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    return capture


def open_pipeline(pipeline: str) -> cv2.VideoCapture:
    """Opens a GStreamer pipeline."""
    return cv2.VideoCapture(pipeline, cv2.CAP_GSTREAMER)


@contextmanager
def nothing_opening() -> Iterator[None]:
    """While entered, nothing is being opened: what is started then inherits the user's environment."""
    with _opening:
        yield


def has_backend(api: int) -> bool:
    """Tells whether this OpenCV has a video back end (`cv2.CAP_…`) that it can really load."""
    return bool(cv2.videoio_registry.hasBackend(api))


@contextmanager
def _ffmpeg_options(ours: Mapping[str, str]) -> Iterator[None]:
    """Hands options to FFmpeg while something is opened; what the user's environment says goes before."""
    with _opening:
        before = os.environ.get(_VARIABLE)
        theirs = dict(pair.split(";", 1) for pair in (before or "").split("|") if ";" in pair)
        os.environ[_VARIABLE] = "|".join(f"{name};{value}" for name, value in {**ours, **theirs}.items())
        try:
            yield
        finally:
            if before is None:
                del os.environ[_VARIABLE]
            else:
                os.environ[_VARIABLE] = before
