"""Small videos whose frames are known by their brightness."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

FPS = 25


def write_video(path: Path, frames: int = 50, fps: float = FPS) -> Path:
    """Writes a video of 64×48 pixels; frame i has a brightness of 4 i."""
    code = "MJPG" if path.suffix == ".avi" else "mp4v"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), fps, (64, 48))
    assert writer.isOpened()
    for i in range(frames):
        writer.write(np.full((48, 64, 3), i * 4 % 256, np.uint8))
    writer.release()
    return path


def frames_in(path: Path) -> int:
    """Counts the frames that a video plays."""
    capture = cv2.VideoCapture(str(path))
    count = 0
    while capture.grab():
        count += 1
    capture.release()
    return count


def encode(
    path: Path,
    times: Sequence[int],
    codec: str = "mpeg4",
    rate: int = 25,
    earlier: int = 0,
    size: tuple[int, int] = (64, 48),
    options: dict[str, str] | None = None,
) -> Path:
    """Writes a frame at each of the times, in 1/rate s, by PyAV.

    `earlier` takes it from all times once it is compressed: what comes before 0 is stored, and not shown.
    """
    with av.open(str(path), "w", options=options or {}) as container:
        stream = container.add_stream(codec, rate=rate)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, rate)
        stream.codec_context.max_b_frames = 0
        stream.codec_context.gop_size = 100
        for number, at in enumerate(times):
            frame = av.VideoFrame.from_ndarray(
                np.full((size[1], size[0], 3), 4 * number % 256, np.uint8), "bgr24"
            )
            frame.pts, frame.time_base = at, Fraction(1, rate)
            for packet in stream.encode(frame):
                _put(container, packet, earlier)
        for packet in stream.encode(None):
            _put(container, packet, earlier)
    return path


def _put(container: av.container.OutputContainer, packet: av.Packet, earlier: int) -> None:
    assert packet.pts is not None and packet.dts is not None
    packet.pts, packet.dts = packet.pts - earlier, packet.dts - earlier
    container.mux(packet)
