"""The options of `PlateReader.events`, as a type checker sees them."""

from __future__ import annotations

from typing import Literal, TypedDict

from edge_lpr.pipeline.events import Report

__all__ = ["EventOptions"]


class EventOptions(TypedDict, total=False):
    """The keywords of `PlateReader.events`, as the command's options of these names; all may be left out.

    Attributes:
        report: "end" gives one event per vehicle, once its passage is over; "new" gives it as soon as it is
            known; "all" gives both, and each change of its text ("update"). None is "all" for cameras and
            streams and "end" for files. A plate of an image is always an event of its own, "end".
        rotate: "auto", "0", "90", "180" or "270": pictures and frames are turned clockwise by so many
            degrees; by default as the reader does.
        flip: Whether pictures and frames are mirrored first; by default as the reader does.
        stride: Every Nth frame or image is read.
        timeout: Seconds that a camera or address may take to answer, and from one frame to the next.
        reconnect: Seconds for which a source that is not reached, or was lost, is tried again; 0: not at all;
            `math.inf`, for ever, by default.
        max_pause: The pause between two such tries grows to so many seconds.
        snapshot_interval: Seconds between two requests to an http address that gives one picture at a time.
        any_certificate: Whether https cameras are trusted whatever certificate they show.
        decode: "cpu" or "nvidia": what decodes rtsp:// and rtsps:// addresses.
        transport: "tcp" or "udp": how rtsp:// addresses send their frames.
        max_pixels: Pixels that an image or frame may have.
    """

    report: Report | None
    rotate: Literal["auto", "0", "90", "180", "270"]
    flip: bool
    stride: int
    timeout: float
    reconnect: float
    max_pause: float
    snapshot_interval: float
    any_certificate: bool
    decode: Literal["cpu", "nvidia"]
    transport: Literal["tcp", "udp"]
    max_pixels: int
