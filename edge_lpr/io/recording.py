"""Recordings of cameras: videos of limited length, one after the other, none of which replaces another."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge_lpr.errors import OutputError
from edge_lpr.io.file_names import fitted
from edge_lpr.io.video_io import VideoFile
from edge_lpr.settings import Settings, setting
from edge_lpr.types import Image

__all__ = ["Recording", "RecordingSettings"]

RETRY_SECONDS = 10.0  # after an error
LOOK_SECONDS = 1.0  # between looks whether the file is still there


@dataclass(frozen=True)
class RecordingSettings(Settings):
    """How long and large one video of a recording becomes."""

    save_minutes: float = setting(
        60.0, "a camera's video is followed by the next one after so long", low=0.05, metavar="MIN"
    )
    save_mb: float = setting(2000.0, "… or once it has so many megabytes", low=1, metavar="MB")


class Recording:
    """What a camera showed, as videos that are named by their first frame's time.

    Args:
        name: Gives the path of a video that begins at so many seconds; where there is such a file already,
            the next free one beside it is taken.
        fps: Frames per second, as far as the camera tells.
        limits: When a video is followed by the next one.
        on_warning: Called with one line where a video was deleted while it was written.
    """

    def __init__(
        self,
        name: Callable[[float], Path],
        fps: float,
        limits: RecordingSettings,
        on_warning: Callable[[str], None],
    ) -> None:
        self._name = name
        self._fps = fps
        self._limits = limits
        self._warn = on_warning
        self._video: VideoFile | None = None
        self._began = 0.0
        self._looked = 0.0
        self._failure: tuple[float, str] | None = None

    def write(self, image: Image, seconds: float, lasts: float = 0.0) -> None:
        """Appends a frame.

        Args:
            image: uint8 H×W×3 BGR.
            seconds: When it was taken, from the source's start.
            lasts: See `VideoFile.write`.

        Raises:
            OutputError: It cannot be written; a new video is begun with a frame some seconds later.
        """
        now = time.monotonic()
        if self._failure is not None and now < self._failure[0]:
            raise OutputError(self._failure[1])
        self._failure = None
        try:
            if self._video is not None and now - self._looked >= LOOK_SECONDS:
                self._look(self._video, now)
            if self._video is not None and self._is_full(self._video, seconds):
                self.close()
            if self._video is None:
                self._video = self._begin(image, seconds, lasts)
                self._began, self._looked = seconds, now
            else:
                self._video.write(image, seconds, lasts)
        except OutputError as e:
            self._video = None
            self._failure = now + RETRY_SECONDS, str(e)
            raise

    def close(self) -> None:
        """Completes the video; may be called twice.

        Raises:
            OutputError: It cannot be completed.
        """
        video, self._video = self._video, None
        if video is not None:
            video.close()

    def _is_full(self, video: VideoFile, seconds: float) -> bool:
        return (
            seconds - self._began >= 60 * self._limits.save_minutes
            or video.size >= 1e6 * self._limits.save_mb
        )

    def _look(self, video: VideoFile, now: float) -> None:
        self._looked = now
        if not video.is_there:
            self._warn(f"{video.path}: was deleted or moved away; a new video is begun")
            self.close()

    def _begin(self, image: Image, seconds: float, lasts: float) -> VideoFile:
        path = wanted = self._name(seconds)
        number = 1
        while True:
            try:
                video = VideoFile(path, self._fps, aside=False)
                video.write(image, seconds, lasts)
            except FileExistsError:
                number += 1
                path = wanted.with_name(fitted(wanted.stem, f"-{number}{wanted.suffix}"))
            else:
                return video
