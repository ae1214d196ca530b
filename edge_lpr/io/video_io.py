"""Annotated videos that are playable at every moment, each frame at its own time.

MP4 and MOV are written in fragments of a second, which stand for themselves: what a killed process or a full
disk left plays up to the last of them. Once complete they are made ordinary files that any player can search.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from edge_lpr.errors import OutputError, one_line
from edge_lpr.io.out_file import OutFile, PartFile, output_error
from edge_lpr.types import Image

if TYPE_CHECKING:
    import av
    from av.container import OutputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

__all__ = ["VIDEOS_WRITTEN", "VideoFile", "encoder_of"]

VIDEOS_WRITTEN = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".mkv": "matroska",
    ".webm": "webm",
    ".avi": "avi",
}
"""The suffixes that videos are written with, and FFmpeg's names of their containers."""
_TICKS = (
    60_000  # per second: whole numbers for 24, 25, 29.97, 30, 50 and 60 frames; MPEG-4 takes 65535 at most
)
_KEYFRAME_SECONDS = 2
# FFmpeg, "mov, mp4, ismv": a fragment begins at each key frame and each second, and at the end the table of
# an ordinary file is added.
_FRAGMENTS = {
    "movflags": "hybrid_fragmented+frag_keyframe+empty_moov+default_base_moof",
    "frag_duration": "1000000",
}
_CLUSTERS = {"cluster_time_limit": "1000"}
_MUXING = {"mp4": _FRAGMENTS, "mov": _FRAGMENTS, "matroska": _CLUSTERS, "webm": _CLUSTERS, "avi": {}}
"""Containers, by FFmpeg's names, and options."""


class VideoFile:
    """A video.

    Args:
        path: The file; its suffix names the container: .webm is VP8, .avi Motion JPEG, the others H.264.
        fps: Frames per second; in .avi frames stand at whole numbers of them, else at their own times.
        aside: Whether it is written aside until it is closed, to replace an older file then. Otherwise it has
            its name from the start, and is never one that was there.

    Raises:
        OutputError: No such container, or no encoder for it.
    """

    def __init__(self, path: Path, fps: float, aside: bool = True) -> None:
        self.path = path
        self._fps = Fraction(min(max(fps, 0.001), 240.0)).limit_denominator(1001)
        self._is_aside = aside
        self._file: OutFile | None = None
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._size = (0, 0)
        self._began = 0.0
        self._last = -1
        self._step = 0
        if path.suffix.lower() not in VIDEOS_WRITTEN:
            raise OutputError(f"{path}: a video is written as {', '.join(VIDEOS_WRITTEN)}")

    @property
    def size(self) -> int:
        """Bytes written so far."""
        return 0 if self._file is None else os.fstat(self._file.fileno()).st_size

    @property
    def is_there(self) -> bool:
        """Whether the file was not deleted or moved away while it is written."""
        return self._file is None or self._file.is_at(self._file.path)

    def write(self, image: Image, seconds: float, lasts: float = 0.0) -> None:
        """Appends a frame.

        Args:
            image: uint8 H×W×3 BGR; scaled where it has another size than the first.
            seconds: When it was taken; the first frame's time is the video's start.
            lasts: For how long it is shown where it is the last, in seconds; 0: as long as the one before.

        Raises:
            FileExistsError: The file is there already, and is not to be replaced.
            OutputError: It cannot be written; what was written until then is kept, and takes no more.
        """
        import av

        try:
            if self._container is None or self._stream is None:
                self._open(image, seconds)
            assert self._container is not None and self._stream is not None
            base = self._stream.codec_context.time_base
            assert base is not None
            frame = av.VideoFrame.from_ndarray(self._fitted(image), format="bgr24")
            at = max(self._last + 1, round((seconds - self._began) / base))
            if lasts > 0:
                self._step = round(lasts / base)
            else:
                self._step = at - self._last if self._last >= 0 else round(1 / self._fps / base)
            self._last = frame.pts = at
            frame.time_base = base
            self._mux(self._stream.encode(frame))
        except FileExistsError:
            raise
        except (OSError, av.error.FFmpegError) as e:
            raise self._failure(e) from e

    def close(self) -> None:
        """Completes the video; may be called twice.

        Raises:
            OutputError: It cannot be completed; what was written until then is kept.
        """
        if self._container is None or self._stream is None or self._file is None:
            return
        import av

        try:
            self._mux(self._stream.encode(None))
            self._container.close()
            if isinstance(self._file, PartFile):
                self._file.complete()
            else:
                self._file.sync()
                self._file.close()
        except (OSError, av.error.FFmpegError) as e:
            raise self._failure(e) from e
        self._container = self._stream = self._file = None

    def _mux(self, packets: Iterable[Packet[Any]]) -> None:
        assert self._container is not None
        for packet in packets:
            # What counts is that of the last frame: no other one says when it ends.
            packet.duration = max(1, self._step)
            self._container.mux(packet)

    def _open(self, image: Image, seconds: float) -> None:
        import av

        suffix = self.path.suffix.lower()
        final = Path(os.path.realpath(self.path))
        self._file = PartFile(final, suffix) if self._is_aside else OutFile(final, "x")
        height, width = image.shape[:2]
        is_avi = suffix == ".avi"
        muxer = VIDEOS_WRITTEN[suffix]
        options = {**_MUXING[muxer], "flush_packets": "1"}
        self._container = av.open(self._file, "w", format=muxer, options=options)
        codec = encoder_of(self.path)
        stream = self._container.add_stream(codec, rate=self._fps, options=_OPTIONS[codec])
        assert isinstance(stream, av.VideoStream)
        self._stream = stream
        # H.264 with its usual colours has even sizes.
        stream.width, stream.height = self._size = width + width % 2, height + height % 2
        stream.pix_fmt = "yuvj420p" if is_avi else "yuv420p"
        context = stream.codec_context
        context.time_base = 1 / self._fps if is_avi else Fraction(1, _TICKS)
        context.gop_size = max(1, round(_KEYFRAME_SECONDS * self._fps))
        if codec == "mpeg4":
            context.bit_rate = round(width * height * float(self._fps) / 8)
        self._began = seconds

    def _fitted(self, image: Image) -> Image:
        width, height = self._size
        right, below = width - image.shape[1], height - image.shape[0]
        if (right, below) == (0, 0):
            return np.ascontiguousarray(image)
        if 0 <= right <= 1 and 0 <= below <= 1:
            fitted = cv2.copyMakeBorder(image, 0, below, 0, right, cv2.BORDER_REPLICATE)
        else:  # a camera may change its size in mid-stream
            fitted = cv2.resize(image, self._size)
        return np.asarray(fitted, np.uint8)

    def _failure(self, error: OSError | av.error.FFmpegError) -> OutputError:
        file, container = self._file, self._container
        self._container = self._stream = self._file = None
        cause = error if isinstance(error, OSError) else OSError(one_line(error, 120))
        if file is None:
            return output_error(self.path, cause)
        if isinstance(file, PartFile):
            failure = file.failure(self.path, cause)
        else:
            failure = _kept(file, self.path, cause)
        # The file is closed by now: what FFmpeg would add to it as its end does not fit any more.
        with contextlib.suppress(Exception):
            if container is not None:
                container.close()
        return failure


def encoder_of(path: Path) -> str:
    """Names FFmpeg's encoder of a video file, by the file's suffix.

    Raises:
        OutputError: PyAV was built without it.
    """
    import av

    muxer = VIDEOS_WRITTEN[path.suffix.lower()]
    wanted = {"avi": ("mjpeg",), "webm": ("libvpx",)}.get(muxer, ("libx264", "mpeg4"))
    for codec in wanted:
        if codec in av.codecs_available:
            return codec
    raise OutputError(f"{path}: this PyAV {av.__version__} has no encoder {wanted[-1]}; use .mp4 or .avi")


_OPTIONS = {
    # x264 without looking ahead: a frame is in the file soon, at the cost of MPEG-4.
    "libx264": {"preset": "superfast", "tune": "zerolatency", "crf": "23"},
    "mpeg4": {},
    # As fast as VP8 goes, without looking ahead; without a bit rate its limit would be 256 kbit/s.
    "libvpx": {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "crf": "10", "b": "8M"},
    "mjpeg": {"qmin": "3", "qmax": "3"},
}
"""Encoders and their options."""


def _kept(file: OutFile, shown: Path, error: OSError) -> OutputError:
    """Closes a file after an error; it keeps its name where there is anything in it."""
    size = 0
    with contextlib.suppress(OSError):
        file.close()
    with contextlib.suppress(OSError):
        size = file.path.stat().st_size
        if not size:
            file.path.unlink()
    return OutputError(f"{output_error(shown, error)}{'; it holds what was written before' if size else ''}")
