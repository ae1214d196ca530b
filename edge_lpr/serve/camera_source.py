"""A camera as the service reads it: when, how often, and what of its picture."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_lpr.errors import SourceError
from edge_lpr.io.capture_options import CaptureOptions
from edge_lpr.io.frames import Frame, PolledSource
from edge_lpr.io.live_source import LiveSource
from edge_lpr.io.open_target import open_target
from edge_lpr.io.sources import find_targets
from edge_lpr.io.targets import Target
from edge_lpr.plates import PlateRead
from edge_lpr.serve.board import CameraEntry
from edge_lpr.serve.config_paths import is_file_source
from edge_lpr.serve.setting_types import Polygon
from edge_lpr.serve.settings import CameraSettings
from edge_lpr.serve.spans import Spans
from edge_lpr.types import Image

__all__ = ["CameraSource", "camera_target", "is_other"]

_TURNS = {"90": cv2.ROTATE_90_CLOCKWISE, "180": cv2.ROTATE_180, "270": cv2.ROTATE_90_COUNTERCLOCKWISE}
_SCHEDULE_SECONDS = 1.0  # after which the schedule is looked at again
_AGAIN = 30.0  # seconds after which a source that cannot even be tried is tried again
_PAINT = (0, 0, 0)  # BGR
_OPENED = ("source", "loop", "transport", "decode", "timeout", "any_certificate", "rotate", "flip")


def camera_target(name: str, settings: CameraSettings) -> Target:
    """Says what is opened for a camera.

    Args:
        name: What it is called everywhere.
        settings: Its settings, with an absolute path where it is a video file.

    Raises:
        SourceError: There is no such thing, or more than one.
    """
    if is_file_source(settings.source):
        path = str(Path(settings.source).resolve())
        return Target("video", name, address=path, named=True, loop=settings.loop)
    found = find_targets(settings.source)
    if len(found) != 1 or not found[0].live:
        raise SourceError(f"{name}: expected one camera, address or video file")
    return replace(found[0], label=name, named=True)


def is_other(settings: CameraSettings, than: CameraSettings) -> bool:
    """Tells whether a camera has to be opened anew for these settings."""
    return any(getattr(settings, name) != getattr(than, name) for name in _OPENED)


class CameraSource(PolledSource):
    """Reads a camera by its settings: opened and closed by its schedule, turned, and masked.

    Its clock goes on while it is closed, and over each opening. Whatever is wrong with it is on its board.

    Args:
        name: The camera's name.
        settings: Its settings.
        entry: What is known of it, kept up to date here.
        on_warning: Called with one line for each thing that went wrong.
        clock: Seconds of a clock that is never set.
        today: The time of day, for the schedule.
    """

    def __init__(
        self,
        name: str,
        settings: CameraSettings,
        entry: CameraEntry,
        on_warning: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
        today: Callable[[], datetime] = datetime.now,
    ) -> None:
        super().__init__(name, self._warn)
        self.live = True
        self.state = "opening"
        self._told = on_warning
        self._entry = entry
        self._clock = clock
        self._today = today
        self._inner: PolledSource | None = None
        self._began = clock()
        self.started = time.time()
        self._look_at = 0.0  # when the schedule is looked at again
        self._is_due = False
        self._next_frame = 0.0
        self._is_over = False
        self._inner_dropped = 0
        self._inner_losses = 0
        self.change(settings)

    def change(self, settings: CameraSettings) -> None:
        """Heeds other settings from the next frame on, as far as it need not be opened anew for them.

        See `is_other`.
        """
        self.settings = settings
        self._spans = Spans.parse(settings.schedule, "schedule")
        self._look_at = min(self._look_at, self._clock())

    def read(self, wait: float = 0.0) -> Frame | None:
        """See `PolledSource.read`; it never waits, and raises nothing: what is wrong is on the board."""
        now = self._clock()
        self._heed_schedule(now)
        inner = self._inner
        if inner is None or (self.settings.max_fps and now < self._next_frame):
            return None
        frame: Frame | None = None
        try:
            frame = inner.read()
        except SourceError as e:
            self._fail(str(e), now)
            return None
        if frame is not None:
            self._entry.become("live", "")
        self._follow(inner)
        if frame is None:
            return None
        self._count_drops(inner, now)
        self.received += 1
        self.last_frame = frame.wall
        self.fps = min(inner.fps or 25.0, self.settings.max_fps or 240.0) if inner.fps else None
        image = self._prepared(frame.image)
        self._entry.saw(image, frame.wall)
        # What has an end has no clock; here it is a camera as any other.
        theirs, wall = inner.now(), frame.wall or time.time()
        here = self._clock() - self._began
        at = here if theirs is None or frame.time is None else here - theirs + frame.time
        return replace(frame, image=image, time=at, index=self.received - 1, wall=wall)

    @property
    def ended(self) -> bool:
        """See `PolledSource.ended`: a video that is over; a camera never ends."""
        return self._is_over

    def now(self) -> float | None:
        """See `PolledSource.now`."""
        return self._clock() - self._began

    def accepts(self, read: PlateRead, image: Image) -> bool:
        """Tells whether a plate is wide enough, and lies where plates are read.

        Args:
            read: The plate.
            image: The frame, uint8 H×W×3 BGR.
        """
        corners = read.corners
        if self.settings.min_plate_width:
            top, bottom = (np.linalg.norm(corners[a] - corners[b]) for a, b in ((1, 0), (2, 3)))
            if max(top, bottom) < self.settings.min_plate_width:
                return False
        if not self.settings.regions:
            return True
        height, width = image.shape[:2]
        middle = corners.mean(axis=0) / (width, height)
        return any(_holds(region, middle) for region in self.settings.regions)

    def stop(self) -> None:
        """Has it end, and does not wait for that."""
        if self._inner is not None:
            self._inner.stop()

    def close(self) -> None:
        """Ends the source and what decodes it; may be called twice."""
        inner, self._inner = self._inner, None
        if inner is not None:
            inner.close()

    def _heed_schedule(self, now: float) -> None:
        if self._is_over or now < self._look_at:
            return
        self._look_at = now + _SCHEDULE_SECONDS
        is_due = self._spans.holds(self._today())
        if is_due and self._inner is None:
            self._open(now)
        elif not is_due:
            if self._inner is not None:
                self._leave()
            self._entry.become("off", "by its schedule")

    def _open(self, now: float) -> None:
        settings = self.settings
        options = CaptureOptions(
            timeout=settings.timeout,
            any_certificate=settings.any_certificate,
            decode=settings.decode,
            transport=settings.transport,
        )
        try:
            target = camera_target(self.label, settings)
            if target.kind == "video":
                expected = "damaged or cut short, or no video that FFmpeg can decode"
                opened: PolledSource = LiveSource(target, options, True, self.on_warning, expected)
            else:
                found = open_target(target, options, self.on_warning, self.on_warning)
                assert isinstance(found, PolledSource)
                opened = found
        except SourceError as e:
            self._fail(str(e), now)
            return
        opened.wake = self.wake
        self._inner, self._inner_dropped, self._inner_losses = opened, 0, 0
        self._entry.become("starting")

    def _fail(self, why: str, now: float) -> None:
        if self._entry.become("error", why):
            self._told(why)
        self._leave()
        self._look_at = now + _AGAIN

    def _leave(self) -> None:
        """Closes what is open, in a thread of its own: that may take seconds, and the others are read on."""
        inner, self._inner = self._inner, None
        self.losses += 1  # the vehicles that are in view are gone with it
        if inner is not None:
            inner.stop()
            threading.Thread(target=inner.close, name=f"edge-lpr closes {self.label}", daemon=True).start()

    def _follow(self, inner: PolledSource) -> None:
        """Takes in how the source is."""
        if inner.losses > self._inner_losses:
            self.losses += inner.losses - self._inner_losses
            self._entry.counts.reconnects += inner.losses - self._inner_losses
            self._inner_losses = inner.losses
        self.skipped = inner.skipped
        if inner.ended:
            self._is_over = True
            self._entry.become("ended")
        elif inner.state == "trying again":
            self._entry.become("lost")

    def _count_drops(self, inner: PolledSource, now: float) -> None:
        """Counts frames that were passed over; with `max_fps`, those alone that it was to read."""
        dropped, self._inner_dropped = inner.dropped - self._inner_dropped, inner.dropped
        if limit := self.settings.max_fps:
            late = now - self._next_frame if self._next_frame else 0.0
            dropped = min(dropped, int(late * min(limit, inner.fps or limit)))
            following = self._next_frame + 1 / limit
            self._next_frame = following if following > now else now + 1 / limit
        self.dropped += dropped
        self._entry.counts.dropped += dropped

    def _warn(self, line: str) -> None:
        self._entry.say(line)
        self._told(line)

    def _prepared(self, image: Image) -> Image:
        turn = _TURNS.get(self.settings.rotate)
        if turn is not None:
            image = np.asarray(cv2.rotate(image, turn), np.uint8)
        if self.settings.flip:
            image = np.asarray(cv2.flip(image, 1), np.uint8)
        last = image.shape[1] - 1, image.shape[0] - 1
        for polygon in self.settings.masks:
            cv2.fillPoly(image, [np.rint(np.array(polygon) * last).astype(np.int32)], _PAINT)
        return image


def _holds(polygon: Polygon, point: NDArray[np.floating]) -> bool:
    x, y = (float(value) for value in point)
    return cv2.pointPolygonTest(np.array(polygon, np.float32), (x, y), False) >= 0
