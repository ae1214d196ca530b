"""A video file, read in full."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from edge_lpr.errors import SourceError
from edge_lpr.io.capture_options import CaptureOptions
from edge_lpr.io.decoder import Decoder, end_notes
from edge_lpr.io.frames import Frame, Source
from edge_lpr.io.guarded_open import ByteStream
from edge_lpr.io.video_decoder import VideoDecoder

__all__ = ["VideoSource"]


class VideoSource(Source):
    """A video, or several that follow each other as one.

    Args:
        label: What messages call it.
        videos: What messages call each, and the video as `VideoDecoder` takes it; the first is opened at
            once, each other one in its turn. One of them that does not open then is told, and left out.
        options: See `CaptureOptions`.
        on_warning: See `Source`.

    Raises:
        SourceError: It does not open.
    """

    def __init__(
        self,
        label: str,
        videos: Sequence[tuple[str, str | ByteStream]],
        options: CaptureOptions,
        on_warning: Callable[[str], None],
    ) -> None:
        super().__init__(label, on_warning)
        self._options = options
        self._following = list(videos[1:])
        self._stop = False
        self._left_out = False
        name, video = videos[0]
        self._decoder: Decoder = VideoDecoder(video, name, options)
        self.fps = self._decoder.fps
        self.total = None if self._following else self._decoder.total

    def __iter__(self) -> Iterator[Frame]:
        promised, early, began = 0, False, 0.0
        while True:
            decoder, before, skipped = self._decoder, self.received, self.skipped
            for decoded in decoder.frames(lambda: not self._stop):
                self.received, self.skipped = before + decoder.received, skipped + decoder.skipped
                at = began + decoded.seconds
                yield Frame(decoded.image, before + decoded.index, at, self.label, lasts=decoded.lasts)
            self.received, self.skipped = before + decoder.received, skipped + decoder.skipped
            promised += decoder.promised
            early |= decoder.ends_early()
            decoder.close()
            if self._stop or not self._following:
                break
            began += decoder.length
            following = self._open_next()
            if following is None:
                break
            self._decoder = following
        self.state = "done"
        if not self._stop:
            self._finish(promised, early)

    def stop(self) -> None:
        """Has it end with the next frame."""
        self._stop = True

    def close(self) -> None:
        """Closes the file; may be called twice."""
        self.stop()
        self._decoder.close()

    def _open_next(self) -> Decoder | None:
        while self._following:
            name, video = self._following.pop(0)
            try:
                return VideoDecoder(video, name, self._options)
            except SourceError as e:
                self._left_out = True
                self.on_warning(str(e))
        return None

    def _finish(self, promised: int, early: bool) -> None:
        if self.received == self.skipped:
            raise SourceError(
                f"{self.label}: opened, but no frame of it can be decoded: damaged or cut short"
            )
        self.state = "ends early" if early or self._left_out else "done"
        for line in end_notes(self.label, self.received, promised, self.skipped, early):
            self.on_warning(line)
