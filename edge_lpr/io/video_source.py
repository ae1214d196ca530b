"""A video file, read in full: a thread of its own decodes, so that decoding overlaps with inference."""

from __future__ import annotations

import atexit
import contextlib
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator

import cv2

from edge_lpr.errors import SourceError, one_line
from edge_lpr.io.capture import CaptureOptions
from edge_lpr.io.checked_capture import Capture
from edge_lpr.io.decoder import Decoder, end_notes
from edge_lpr.io.frames import Frame, Source
from edge_lpr.io.image_header import BYTES_PER_PIXEL
from edge_lpr.io.opening import Opening

__all__ = ["VideoSource", "stop_videos"]

_QUEUE = 3  # decoded frames that wait: enough to smooth a slow one, 75 MB at 4K
_GRACE = 2.0  # seconds that a thread gets to end


class VideoSource(Source):
    """A video file through `cv2.VideoCapture`.

    Args:
        opening: The file.
        options: See `CaptureOptions`.
        on_warning: See `Source`.
        expected: End of the sentence "cannot be opened: …".

    Raises:
        SourceError: It does not open.
    """

    def __init__(
        self,
        opening: Opening,
        options: CaptureOptions,
        on_warning: Callable[[str], None],
        expected: str,
    ) -> None:
        super().__init__(opening.label, on_warning)
        self._options = options
        self._expected = expected
        self._queue: deque[Frame] = deque()
        self._notes: list[str] = []
        self._changed = threading.Condition()
        self._stop = False
        self._ended = False
        self._opened = False
        self._error: SourceError | None = None
        self._thread = threading.Thread(
            target=self._run, args=(opening,), name=f"edge-lpr {self.label}", daemon=True
        )
        _running.add(self)
        self._thread.start()
        # Short waits, here and below: who waits for good in a lock sees Ctrl-C only afterwards.
        while not (self._opened or self._ended):
            with self._changed:
                self._changed.wait(0.1)
        if self._error is not None:
            raise self._error

    def __iter__(self) -> Iterator[Frame]:
        while True:
            with self._changed:
                if not self._queue and not self._ended:
                    self._changed.wait(0.2)
                frame = self._queue.popleft() if self._queue else None
                self._changed.notify_all()
            if frame is not None:
                yield frame
            elif self._ended and not self._queue:
                break
        while self._notes:
            self.on_warning(self._notes.pop(0))
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """Has the decoding thread end, and does not wait for it."""
        with self._changed:
            self._stop = True
            self._changed.notify_all()

    def close(self) -> None:
        """Stops the decoding thread, and waits for it a moment."""
        self.stop()
        self._thread.join(_GRACE)

    # What runs in the decoding thread.

    def _run(self, opening: Opening) -> None:
        try:
            capture = opening.open(self._options)
            try:
                self._decode(capture)
            finally:
                capture.release()
        except SourceError as e:
            self._error = e
        except (cv2.error, MemoryError) as e:
            self._error = SourceError(f"{self.label}: decoding failed ({one_line(e, 120)})")
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _decode(self, capture: Capture) -> None:
        if not capture.isOpened():
            raise SourceError(f"{self.label}: cannot be opened: {self._expected}")
        decoder = Decoder(capture, False, self._options.stride)
        self.fps, self.total = decoder.fps, decoder.total
        with self._changed:
            self._opened = True
            self._changed.notify_all()
        for decoded in decoder.frames(lambda: not self._stop):
            self.received, self.skipped = decoder.received, decoder.skipped
            self._put(Frame(decoded.image, decoded.index, decoded.seconds, self.label))
        self.received, self.skipped = decoder.received, decoder.skipped
        if self._stop:
            self.state = "done"
        else:
            self._finish(decoder)

    def _put(self, frame: Frame) -> None:
        with self._changed:
            # Frames wait only as far as they are within the limit in pixels together.
            room = BYTES_PER_PIXEL * self._options.max_pixels // frame.image.nbytes
            while len(self._queue) >= max(1, min(_QUEUE, room)) and not self._stop:
                self._changed.wait(0.5)
            self._queue.append(frame)
            self._changed.notify_all()

    def _finish(self, decoder: Decoder) -> None:
        if not decoder.received:
            raise SourceError(f"{self.label}: opened, but no frame of it can be decoded: {self._expected}")
        early = decoder.ends_early()
        self.state = "ends early" if early else "done"
        self._notes = end_notes(self.label, decoder.received, decoder.promised, decoder.skipped, early)


_running: weakref.WeakSet[VideoSource] = weakref.WeakSet()


@atexit.register
def stop_videos() -> None:
    """Ends all decoding threads; called before the interpreter ends at the latest.

    A thread that comes back from OpenCV while the interpreter is going down is torn off inside C++ code, and
    that aborts the process.
    """
    sources = list(_running)
    for source in sources:
        source.stop()
    with contextlib.suppress(KeyboardInterrupt):
        for source in sources:
            source.close()
