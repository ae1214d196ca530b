"""Frames out of OpenCV's video back ends: files in full, live sources always at their newest frame.

A thread of its own decodes, so decoding overlaps with inference, no address can hang the caller, and a camera
that delivers faster than plates are read loses frames instead of falling behind.
"""

from __future__ import annotations

import atexit
import contextlib
import math
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from edge_lpr.errors import SourceError, one_line
from edge_lpr.io.checked_capture import Capture
from edge_lpr.io.frames import Frame, Source
from edge_lpr.io.image_header import BYTES_PER_PIXEL
from edge_lpr.io.image_io import MAX_PIXELS
from edge_lpr.settings import Settings, setting

DEFAULT_FPS = 25.0  # where a container names none: PAL's, what most Chinese cameras are set to
QUEUE = 3  # decoded frames that wait: enough to smooth a slow one, 75 MB at 4K
# Tries to get past damage in a file: ten seconds of it. At the end of a file they cost nothing.
BROKEN_FILE = 250
BROKEN_LIVE = 4  # each may take as long as the time limit
RETRY_SECONDS = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)  # pauses before the tries to reach a lost source again
GRACE = 2.0  # seconds that a thread gets to end
# Opening counts as hanging after so many time limits: the back end's own limit is one, and OpenCV opens one
# address at a time, so that a lost camera that is being tried again may go first.
HANGING = 3


@dataclass(frozen=True)
class CaptureOptions(Settings):
    """How a video or live source is read."""

    stride: int = setting(1, "read every Nth frame or image", low=1)
    timeout: float = setting(
        10.0, "seconds that a camera or address may take to answer", low=0.1, high=3600, metavar="S"
    )
    reconnect: float = setting(
        math.inf, "seconds for which a lost source is tried again; 0: not at all", low=0, metavar="S"
    )
    max_pixels: int = setting(
        MAX_PIXELS, "pixels that an image or frame may have, of 3 bytes each as it is decoded", low=1
    )


class CaptureSource(Source):
    """A video file, camera, address or pipeline through `cv2.VideoCapture`.

    Args:
        label: What messages call it.
        opener: Opens the capture; called again for each reconnection.
        options: See `CaptureOptions`.
        live: Whether it is live; None finds out: what knows its number of frames is read like a file.
        on_warning: See `Source`.
        expected: End of the sentence "cannot be opened: …".

    Raises:
        SourceError: It does not open, or not within the time limit.
    """

    def __init__(
        self,
        label: str,
        opener: Callable[[], Capture],
        options: CaptureOptions,
        live: bool | None,
        on_warning: Callable[[str], None],
        expected: str,
    ) -> None:
        super().__init__(label, on_warning)
        self._opener = opener
        self._options = options
        self._expected = expected
        self._bounded = live is not False
        self.live = bool(live)
        self._decide = live is None
        self._queue: deque[Frame] = deque()
        self._notes: deque[str] = deque()
        self._changed = threading.Condition()
        self._stop = False
        self._ended = False
        self._opened = False
        self._error: SourceError | None = None
        self.wake: threading.Event | None = None
        self._received = 0
        self._promised = 0
        self._seconds = 0.0
        self._t0 = 0.0
        self._thread = threading.Thread(target=self._run, name=f"edge-lpr {label}", daemon=True)
        _running.add(self)
        self._thread.start()
        self._wait_open()

    # What the reader's thread calls.

    def read(self, wait: float = 0.0) -> Frame | None:
        """Returns the next frame, or None where none came within `wait` seconds or the source has ended.

        Raises:
            SourceError: The source failed; frames received before that were given first.
        """
        with self._changed:
            if not self._queue and not self._ended and wait > 0:
                self._changed.wait(wait)
            frame = self._queue.popleft() if self._queue else None
            self._changed.notify_all()
        while self._notes:
            self.on_warning(self._notes.popleft())
        if frame is None and self._ended and self._error is not None:
            error, self._error = self._error, None
            raise error
        return frame

    @property
    def ended(self) -> bool:
        """Whether no more frame will come."""
        return self._ended and not self._queue and not self._notes and self._error is None

    def __iter__(self) -> Iterator[Frame]:
        # Short waits: a thread that waits for good in a lock would see Ctrl-C only after the next frame.
        while not self.ended:
            frame = self.read(0.2)
            if frame is not None:
                yield frame

    def close(self) -> None:
        """Stops the decoding thread; waits for it a moment, as a dead network may hold it longer."""
        with self._changed:
            self._stop = True
            self._changed.notify_all()
        self._thread.join(GRACE)

    def _wait_open(self) -> None:
        limit = time.monotonic() + HANGING * self._options.timeout + GRACE if self._bounded else math.inf
        while not (self._opened or self._ended) and time.monotonic() < limit:
            with self._changed:
                self._changed.wait(0.1)
        if self._error is not None:
            raise self._error
        if not self._opened:
            self._stop = True
            raise self._no_answer()

    def _no_answer(self) -> SourceError:
        return SourceError(
            f"{self.label}: no answer within {self._options.timeout:g} s; check address and network, or "
            "allow more with --timeout"
        )

    # What runs in the decoding thread.

    def _run(self) -> None:
        try:
            capture = self._open_first()
            while True:
                try:
                    self._pump(capture)
                finally:
                    capture.release()
                if self._stop:
                    self.state = "done"
                    break
                if not self.live:
                    self._finish_file()
                    break
                again = self._reopen()
                if again is None:
                    break
                capture = again
        except SourceError as e:
            self._error = e
        except (cv2.error, MemoryError) as e:
            self._error = SourceError(f"{self.label}: decoding failed ({one_line(e, 120)})")
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify_all()
            if self.wake is not None:
                self.wake.set()

    def _open_first(self) -> Capture:
        began = time.monotonic()
        capture = self._opener()
        if not capture.isOpened():
            if self._bounded and time.monotonic() - began >= self._options.timeout * 0.95:
                raise self._no_answer()
            raise SourceError(f"{self.label}: cannot be opened: {self._expected}")
        count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        fps = capture.get(cv2.CAP_PROP_FPS)
        self.fps = float(fps) if math.isfinite(fps) and 0 < fps <= 1000 else None
        known = math.isfinite(count) and 0 < count < 1e9
        if self._decide:
            self.live = not known
        if known and not self.live:
            self._promised = int(count)
            self.total = math.ceil(self._promised / self._options.stride)
        self._t0 = time.monotonic()
        if self.live:
            self.started = time.time()
        with self._changed:
            self._opened = True
            self._changed.notify_all()
        return capture

    def _pump(self, capture: Capture) -> None:
        """Hands on frames until the capture ends."""
        step = 1 / (self.fps or DEFAULT_FPS)
        while not self._stop and self._grab(capture):
            index = self._received
            self._received += 1
            if self.live:
                self._seconds = time.monotonic() - self._t0
            else:
                # Containers are wrong about time now and then; it never stands still or goes backwards here.
                stamp = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
                later = self._seconds + step if index else 0.0
                self._seconds = stamp if math.isfinite(stamp) and stamp > self._seconds else later
            if index % self._options.stride:
                continue
            ok, image = capture.retrieve()
            if not ok or image is None or image.size == 0:
                self.skipped += 1
                continue
            if image.ndim == 2:
                image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
            self._put(Frame(np.asarray(image, np.uint8), index, self._seconds, self.label))

    def _grab(self, capture: Capture) -> bool:
        """Goes to the next frame that can be decoded; False at the end.

        A damaged frame makes `grab` fail exactly as the end does; only what comes after tells them apart.
        """
        for failed in range(BROKEN_LIVE if self.live else BROKEN_FILE):
            if self._stop or (failed and 0 < self._promised <= self._received):
                return False
            if capture.grab():
                self.skipped += failed
                self._received += failed
                return True
        return False

    def _put(self, frame: Frame) -> None:
        with self._changed:
            if self.live:
                self.dropped += len(self._queue)
                self._queue.clear()
            else:
                room = BYTES_PER_PIXEL * self._options.max_pixels // frame.image.nbytes
                while len(self._queue) >= max(1, min(QUEUE, room)) and not self._stop:
                    self._changed.wait(0.5)
            self._queue.append(frame)
            self._changed.notify_all()
        if self.wake is not None:
            self.wake.set()

    def _finish_file(self) -> None:
        if not self._received:
            raise SourceError(f"{self.label}: opened, but no frame of it can be decoded: {self._expected}")
        # A count may be an estimate (length × rate), wrong for a variable rate: the clock must agree.
        promised, step = self._promised, 1 / (self.fps or DEFAULT_FPS)
        short = self._received < promised - max(2, 0.02 * promised)
        if short and self._seconds + step < 0.98 * promised * step - 0.1:
            self.state = "ends early"
            self._notes.append(
                f"{self.label}: ends early: {self._received} of {promised} promised frames can be "
                "decoded; what they show was read"
            )
        else:
            self.state = "done"
        if self.skipped:
            self._notes.append(f"{self.label}: {self.skipped} frames could not be decoded and were skipped")

    def _reopen(self) -> Capture | None:
        """Tries to reach a lost live source again; None when it is given up."""
        lost = time.monotonic()
        limit = self._options.reconnect
        where = f"{self.label}: source lost after {self._received} frames"
        if limit > 0:
            self._say(f"{where}; trying to reach it again")
        tries = 0
        while time.monotonic() - lost < limit:
            pause = RETRY_SECONDS[min(tries, len(RETRY_SECONDS) - 1)]
            tries += 1
            until = time.monotonic() + min(pause, max(0.0, lost + limit - time.monotonic()))
            with self._changed:
                while not self._stop and time.monotonic() < until:
                    self._changed.wait(until - time.monotonic())
            if self._stop:
                self.state = "done"
                return None
            capture = self._opener()
            # An address may open and give nothing: only a frame shows that the source is back.
            if capture.isOpened() and capture.grab():
                self._say(f"{self.label}: back after {time.monotonic() - lost:.0f} s")
                return capture
            capture.release()
        self.state = "source lost"
        kept = f" and not back within {limit:g} s" if limit > 0 else ""
        self._say(f"{where}{kept}")
        return None

    def _say(self, line: str) -> None:
        self._notes.append(line)
        if self.wake is not None:
            self.wake.set()


_running: weakref.WeakSet[CaptureSource] = weakref.WeakSet()


@atexit.register
def stop_captures() -> None:
    """Ends all decoding threads; called before the interpreter ends at the latest.

    A thread that comes back from OpenCV while the interpreter is going down is torn off inside C++ code, and
    that aborts the process: after Ctrl-C during a connection, for one.
    """
    sources = list(_running)
    for source in sources:
        source._stop = True
    with contextlib.suppress(KeyboardInterrupt):
        for source in sources:
            source._thread.join(source._options.timeout + GRACE)
