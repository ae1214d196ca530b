"""Drawn films as H.264, as cameras send it: what an RTSP server plays over and over."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

from edge_lpr.types import Image

__all__ = ["write_h264"]


def write_h264(path: Path, frames: Iterable[Image], fps: int) -> int:
    """Encodes frames as a stream of H.264 (Annex B) whose first frame is a key frame.

    Args:
        path: The file.
        frames: uint8 H×W×3 BGR, all of one size, whose sides are even.
        fps: Frames per second.

    Returns:
        How many frames there are.
    """
    import av

    count = 0
    with av.open(str(path), "w", "h264") as container:
        stream = container.add_stream("libx264", rate=fps)
        # As a camera sends: no frames that wait for later ones, a key frame every two seconds.
        stream.options = {"preset": "veryfast", "tune": "zerolatency", "crf": "20", "bf": "0"}
        stream.pix_fmt = "yuv420p"
        stream.codec_context.gop_size = 2 * fps
        for count, image in enumerate(frames, 1):
            frame = av.VideoFrame.from_ndarray(image, format="bgr24")
            if count == 1:
                stream.height, stream.width = image.shape[:2]
            frame.pts, frame.time_base = count - 1, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return count
