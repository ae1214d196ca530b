"""Videos, addresses, cameras and pipelines, each opened by the library that reads it best.

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
from typing import TYPE_CHECKING, Protocol

import cv2

from edge_lpr.errors import SourceError, one_line

if TYPE_CHECKING:
    from av.container import InputContainer

__all__ = [
    "ByteStream",
    "has_backend",
    "nothing_opening",
    "open_address",
    "open_camera",
    "open_pipeline",
    "open_video",
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
_RTSP = {"tcp": {"rtsp_flags": "prefer_tcp"}, "udp": {"rtsp_transport": "udp"}}
# OpenCV takes the options from the environment, while it opens. It opens one capture at a time itself.
_opening = threading.Lock()


class ByteStream(Protocol):
    """Bytes that are read once, from first to last."""

    def read(self, size: int, /) -> bytes:
        """Waits for bytes; returns at most so many, and none at the end."""

    def close(self) -> None:
        """Frees what it holds; may be called twice."""


def open_video(video: str | ByteStream, label: str, container: str = "") -> InputContainer:
    """Opens a video for PyAV; see `edge_lpr.io.video_decoder`.

    Args:
        video: Its absolute path, which FFmpeg takes for no protocol or pattern; or its bytes.
        label: What messages call it.
        container: FFmpeg's name of its container; "" finds out.

    Raises:
        SourceError: It cannot be opened.
    """
    import av

    told = {**_FILE, **_theirs(os.environ.get(_VARIABLE))}
    # A live stream is not looked at for long: its first frame is wanted now.
    told |= {"fpsprobesize": "0", "probesize": "32"} if container else {}
    try:
        opened = av.open(video, "r", container or None, told, metadata_errors="replace")
    except (av.error.FFmpegError, OSError, ValueError, MemoryError) as e:
        expected = "damaged or cut short, or no video that FFmpeg can decode"
        raise SourceError(f"{label}: cannot be opened: {expected} ({_cause(e)})") from e
    return opened


def open_address(address: str, timeout: float, transport: str = "tcp") -> cv2.VideoCapture:
    """Opens a network address.

    Args:
        address: The address.
        timeout: Time limit on opening and on each frame, in seconds.
        transport: "tcp" or "udp": how an rtsp:// address sends its frames.
    """
    if not has_backend(cv2.CAP_FFMPEG):
        return cv2.VideoCapture(address, cv2.CAP_ANY)  # the caller's own deadline is the only limit
    limit = max(1, int(timeout * 1000))
    params = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, limit, cv2.CAP_PROP_READ_TIMEOUT_MSEC, limit]
    with _ffmpeg_options({**_RTSP[transport], "protocol_whitelist": _PROTOCOLS}):
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
        told = {**ours, **_theirs(before)}
        os.environ[_VARIABLE] = "|".join(f"{name};{value}" for name, value in told.items())
        try:
            yield
        finally:
            if before is None:
                del os.environ[_VARIABLE]
            else:
                os.environ[_VARIABLE] = before


def _theirs(value: str | None) -> dict[str, str]:
    """Returns the options that the user's environment names."""
    return dict(pair.split(";", 1) for pair in (value or "").split("|") if ";" in pair)


def _cause(error: Exception) -> str:
    """Returns what FFmpeg says, without the path that it says it of."""
    return getattr(error, "strerror", None) or one_line(error, 80)
