"""Annotated videos, checked when they are closed: OpenCV's writer does not say that a disk is full."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from edge_lpr.errors import OutputError
from edge_lpr.io.atomic_io import output_error, part_path
from edge_lpr.types import Image

_LIVE_FILL_SECONDS = 2.0  # a video of a live source repeats its last frame over gaps up to this long
VIDEOS_WRITTEN = {".mp4": "mp4v", ".m4v": "mp4v", ".mov": "mp4v", ".mkv": "mp4v", ".avi": "MJPG"}


class VideoFile:
    """An annotated video, written aside until it is closed.

    Args:
        path: The file; its suffix names the container: .mp4 and others MPEG-4, .avi Motion JPEG.
        fps: Frames per second.
        live: Whether gaps between frames are filled, so that the video runs as long as the camera did.

    Raises:
        OutputError: No such container.
    """

    def __init__(self, path: Path, fps: float, live: bool) -> None:
        self.path = path
        self._fps = round(min(max(fps, 1.0), 240.0), 3)
        self._live = live
        # The writer takes the container from the suffix.
        self._aside = part_path(path, path.suffix)
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)
        self._written = 0
        self._last: tuple[float, Image] | None = None
        if path.suffix.lower() not in VIDEOS_WRITTEN:
            raise OutputError(f"{path}: a video is written as {', '.join(VIDEOS_WRITTEN)}")

    def write(self, image: Image, seconds: float) -> None:
        """Appends a frame that was taken at so many seconds.

        Raises:
            OutputError: The video cannot be started.
        """
        if self._writer is None:
            self._open(image)
        if (image.shape[1], image.shape[0]) != self._size:  # a camera may change its size in mid-stream
            image = np.asarray(cv2.resize(image, self._size), np.uint8)
        if self._live and self._last is not None:
            gap = min(seconds - self._last[0], _LIVE_FILL_SECONDS)
            for _ in range(max(0, round(gap * self._fps) - 1)):
                self._put(self._last[1])
        self._put(image)
        self._last = (seconds, image)

    def close(self) -> None:
        """Completes the video and checks that it holds what was written.

        Raises:
            OutputError: It does not, as when the disk was full; OpenCV's writer says nothing of that.
        """
        if self._writer is None:
            return
        self._writer.release()
        self._writer = None
        check = cv2.VideoCapture(str(self._aside))
        held = int(check.get(cv2.CAP_PROP_FRAME_COUNT)) if check.isOpened() else 0
        check.release()
        try:
            self._aside.replace(self.path)
        except OSError as e:
            raise output_error(self.path, e) from e
        if held < self._written - 2:
            raise OutputError(f"{self.path}: holds {held} of {self._written} frames; is the disk full?")

    def _open(self, image: Image) -> None:
        height, width = image.shape[:2]
        self._size = (width, height)
        code = cv2.VideoWriter.fourcc(*VIDEOS_WRITTEN[self.path.suffix.lower()])
        self._writer = cv2.VideoWriter(str(self._aside), code, self._fps, self._size)
        if not self._writer.isOpened():
            self._writer = None
            self._aside.unlink(missing_ok=True)
            raise OutputError(
                f"{self.path}: OpenCV cannot write a video of {width}×{height} pixels there; "
                "check folder and space, or try the suffix .avi"
            )

    def _put(self, image: Image) -> None:
        if self._writer is not None:
            self._writer.write(image)
            self._written += 1
