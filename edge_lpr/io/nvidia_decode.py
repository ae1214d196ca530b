"""Addresses decoded by NVIDIA's hardware: through GStreamer on a Jetson, through PyNvVideoCodec elsewhere.

Both look like a `cv2.VideoCapture`, so that what is done about damage, loss and size is the same. Only rtsp://
and rtsps:// come here: FFmpeg's other protocols may lead to files, and PyNvVideoCodec takes no list of those
allowed.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import math
import re
from collections import deque
from pathlib import Path
from typing import Any
from urllib.parse import quote

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_lpr.errors import MissingExtraError, SourceError, one_line
from edge_lpr.io.capture_decoder import Capture
from edge_lpr.io.guarded_open import has_backend, open_pipeline
from edge_lpr.masking import remember

__all__ = ["NvdecCapture", "check_nvidia", "decodes_nvidia", "gstreamer_text", "is_jetson", "open_nvidia"]

_SCHEMES = ("rtsp://", "rtsps://")
_MODEL_FILE = Path("/proc/device-tree/model")
# What of an address stays as it is: RFC 3986's characters but "!" and "'". A quote, backslash, blank or
# control character is no part of an address; in a pipeline's text it could end the value that the address is.
_KEPT = ":/?#[]@$&()*+,;=%-._~"
_LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


def decodes_nvidia(address: str) -> bool:
    """Tells whether an address is one that NVIDIA's hardware is asked to decode."""
    return address.lower().startswith(_SCHEMES)


def is_jetson() -> bool:
    """Tells whether this machine is a Jetson."""
    try:
        model = _MODEL_FILE.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return "nvidia" in model.lower()


def check_nvidia() -> None:
    """Sees that NVIDIA's decoders can be asked here, as far as that is known without a stream.

    Raises:
        SourceError: This is a Jetson, and this OpenCV has no GStreamer.
        MissingExtraError: It is none, and PyNvVideoCodec is not installed.
    """
    if is_jetson():
        if not has_backend(cv2.CAP_GSTREAMER):
            raise SourceError(
                f"--decode nvidia: this OpenCV {cv2.__version__} has no GStreamer, through which a Jetson "
                "decodes; JetPack's has it: pip uninstall opencv-python-headless, sudo apt install "
                "python3-opencv, and a virtual environment made with --system-site-packages"
            )
    elif importlib.util.find_spec("PyNvVideoCodec") is None:
        raise MissingExtraError("PyNvVideoCodec", "nvdec", "--decode nvidia")


def open_nvidia(address: str, timeout: float, transport: str = "tcp") -> Capture | None:
    """Opens an address.

    Args:
        address: rtsp:// or rtsps://.
        timeout: Seconds that it may take to answer, as far as the library heeds it.
        transport: "tcp" or "udp", as far as the library can be told: GStreamer can.

    Returns:
        What gives its frames; None where it cannot be opened and nothing says why.

    Raises:
        SourceError: It cannot be opened.
    """
    if is_jetson():
        pipeline = gstreamer_text(address, timeout, transport)
        remember(pipeline)
        capture = open_pipeline(pipeline)
        return capture if capture.isOpened() else None
    return NvdecCapture(address)


def gstreamer_text(address: str, timeout: float, transport: str = "tcp") -> str:
    """Writes the pipeline by which GStreamer on a Jetson decodes an address.

    Whatever is in the address, the pipeline has these elements and no others: what could end the value that
    the address is, is percent-encoded.

    Args:
        address: The address of the camera; may come from a stranger.
        timeout: Seconds that the camera may take to answer.
        transport: "tcp" or "udp": how the camera sends its frames.

    Returns:
        What `gst-launch-1.0` takes; may hold a password.
    """
    safe = _LONE_PERCENT.sub("%25", quote(address, safe=_KEPT, errors="surrogateescape"))
    limit = round(timeout * 1e6)
    elements = (
        f'rtspsrc location="{safe}" protocols={transport} latency=200 drop-on-latency=true '
        f"tcp-timeout={limit}",
        "application/x-rtp,media=video",
        "parsebin",
        "nvv4l2decoder",
        "nvvidconv",
        "video/x-raw,format=BGRx",
        "videoconvert",
        "video/x-raw,format=BGR",
        "appsink drop=true max-buffers=1 sync=false",
    )
    return " ! ".join(elements)


class NvdecCapture:
    """An address by PyNvVideoCodec: NVDEC decodes into the host's memory. As far as `Capture` goes.

    Args:
        address: rtsp:// or rtsps://.
        gpu: Number of the GPU.

    Raises:
        SourceError: PyNvVideoCodec cannot start, or cannot open it.
    """

    def __init__(self, address: str, gpu: int = 0) -> None:
        self._waiting: deque[Any] = deque()
        self._frame: Any = None
        self._demuxer: Any = None
        self._decoder: Any = None
        try:
            import PyNvVideoCodec

            self._demuxer = PyNvVideoCodec.CreateDemuxer(address)
            self._decoder = PyNvVideoCodec.CreateDecoder(
                gpuid=gpu,
                codec=self._demuxer.GetNvCodecId(),
                usedevicememory=False,
                # Cameras send no frames out of order; one that waits for the next four is not the newest.
                latency=PyNvVideoCodec.DisplayDecodeLatencyType.LOW,
            )
        except Exception as e:  # its own classes, and others where the driver is missing
            raise SourceError(f"PyNvVideoCodec cannot decode it ({one_line(e, 200)})") from e
        self._size = int(self._demuxer.Width()), int(self._demuxer.Height())
        self._fps = float(self._demuxer.FrameRate())

    def get(self, propId: int, /) -> float:
        """Returns what is known of the stream; 0 of what is not."""
        known = {
            cv2.CAP_PROP_FRAME_WIDTH: self._size[0],
            cv2.CAP_PROP_FRAME_HEIGHT: self._size[1],
            cv2.CAP_PROP_FPS: self._fps,
            cv2.CAP_PROP_POS_MSEC: math.nan,
        }
        return float(known.get(propId, 0.0))

    def grab(self) -> bool:
        """Goes to the next frame; False where there is none, or where one is damaged."""
        self._frame = None
        if self._decoder is None:
            return False
        try:
            while not self._waiting:
                # What it gave before is overwritten by this.
                self._waiting.extend(self._decoder.Decode(next(self._demuxer)))
        except StopIteration:
            return False
        except Exception:  # of its own classes, by version
            return False
        self._frame = self._waiting.popleft()
        return True

    def retrieve(self) -> tuple[bool, NDArray[Any] | None]:
        """Returns the frame, uint8 H×W×3 BGR; once for each `grab`, before the next."""
        frame, self._frame = self._frame, None
        if frame is None:
            return False, None
        # The decoder's own size: a camera may change it in mid-stream.
        width, height = int(self._decoder.GetWidth()), int(self._decoder.GetHeight())
        rows = height + (height + 1) // 2
        if frame.framesize() != width * rows:  # not NV12: ten bits, or other colours
            raise SourceError(
                f"NVDEC gives frames of {frame.framesize()} bytes for {width}×{height} pixels, expected 8 "
                "bits and 4:2:0; set the camera to H.264 or H.265 of 8 bits, or leave --decode out"
            )
        raw = (ctypes.c_uint8 * frame.framesize()).from_address(frame.GetPtrToPlane(0))
        planes = np.ctypeslib.as_array(raw).reshape(rows, width)
        return True, np.asarray(cv2.cvtColor(planes, cv2.COLOR_YUV2BGR_NV12), np.uint8)

    def release(self) -> None:
        """Closes it; may be called twice."""
        self._waiting.clear()
        with contextlib.suppress(Exception):
            self._frame = self._decoder = self._demuxer = None
