"""How videos and live sources are read: the options of both."""

from __future__ import annotations

import math
from dataclasses import dataclass

from edge_lpr.io.image_io import MAX_PIXELS
from edge_lpr.settings import Settings, setting

__all__ = ["CaptureOptions"]


@dataclass(frozen=True)
class CaptureOptions(Settings):
    """How a video or live source is read."""

    stride: int = setting(1, "read every Nth frame or image", low=1)
    timeout: float = setting(
        10.0,
        "seconds that a camera or address may take to answer, and from one frame to the next",
        low=0.1,
        high=3600,
        metavar="S",
    )
    reconnect: float = setting(
        math.inf,
        "seconds for which a source that is not reached, or was lost, is tried again; 0: not at all",
        low=0,
        metavar="S",
    )
    max_pause: float = setting(
        30.0, "the pause between two such tries grows to so many seconds", low=0.05, high=3600, metavar="S"
    )
    snapshot_interval: float = setting(
        1.0,
        "seconds between two requests to an http address that gives one image at a time",
        low=0.05,
        high=3600,
        metavar="S",
    )
    any_certificate: bool = setting(
        False, "trust https cameras whatever certificate they show, as one that they made themselves"
    )
    decode: str = setting(
        "cpu",
        "what decodes rtsp:// and rtsps:// addresses; nvidia: a Jetson's decoder through GStreamer, and on "
        "other machines NVDEC",
        choices=("cpu", "nvidia"),
    )
    transport: str = setting(
        "tcp",
        "how rtsp:// addresses send their frames; udp: what is lost on the way is not sent again, a frame is "
        "there sooner, and may be damaged",
        choices=("tcp", "udp"),
    )
    max_pixels: int = setting(
        MAX_PIXELS, "pixels that an image or frame may have, of 3 bytes each as it is decoded", low=1
    )
