"""A video file as a camera: each frame when it is due, and from the beginning again where that is wanted."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from edge_lpr.io.capture_options import CaptureOptions
from edge_lpr.io.decoder import DEFAULT_FPS, Decoded, Decoder
from edge_lpr.io.video_decoder import VideoDecoder

__all__ = ["PacedVideo"]

_LATE = 2.0  # seconds behind its own clock after which a video goes on from here, and does not hurry
_STEP = 0.2  # seconds that are waited at once


class PacedVideo(Decoder):
    """Gives the frames of a video file at its own pace, live.

    Args:
        video: Its absolute path.
        label: What messages call it.
        options: See `CaptureOptions`.
        loop: Whether it begins again at its end.

    Raises:
        SourceError: It cannot be opened.
    """

    def __init__(self, video: str, label: str, options: CaptureOptions, loop: bool) -> None:
        super().__init__(label, options.stride, options.max_pixels)
        self._open: Callable[[], VideoDecoder] = lambda: VideoDecoder(video, label, options)
        self._decoder = self._open()
        self._loop = loop
        self.live = True
        self.fps = self._decoder.fps

    def frames(self, go_on: Callable[[], bool]) -> Iterator[Decoded]:
        """Gives the frames; see `Decoder.frames`."""
        began, before = time.monotonic(), 0.0
        while True:
            decoder, passed, skipped = self._decoder, self.received, self.skipped
            for decoded in decoder.frames(go_on):
                self.received, self.skipped = passed + decoder.received, skipped + decoder.skipped
                self.seconds = before + decoded.seconds
                if time.monotonic() - began - self.seconds > _LATE:
                    began = time.monotonic() - self.seconds
                while (left := began + self.seconds - time.monotonic()) > 0:
                    if not go_on():
                        return
                    time.sleep(min(left, _STEP))
                yield replace(decoded, index=passed + decoded.index, seconds=self.seconds)
            self.received, self.skipped = passed + decoder.received, skipped + decoder.skipped
            before += decoder.seconds + 1 / (self.fps or DEFAULT_FPS)
            decoder.close()
            if not self._loop or self.received == self.skipped or not go_on():
                self.done = not self._loop and self.received > self.skipped
                return
            self._decoder = self._open()

    def close(self) -> None:
        """Closes the file; may be called twice."""
        self._decoder.close()
