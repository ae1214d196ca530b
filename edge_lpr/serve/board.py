"""How each camera is: what the page, the interface and the metrics show of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import cv2
import numpy as np

from edge_lpr.io.image_io import encode_image
from edge_lpr.masking import masked
from edge_lpr.pipeline.wall_clock import iso, utc
from edge_lpr.types import Image

__all__ = ["CameraBoard", "CameraCounts", "CameraEntry", "CameraState", "CameraStateName"]

CameraStateName = Literal["starting", "live", "lost", "error", "off", "ended"]
_WIDTH = 1280  # pixels of the picture that is shown, at most
_QUALITY = 80
_RATE_SECONDS = 5.0  # over which frames are counted to a rate


@dataclass
class CameraCounts:
    """What is counted of a camera since the service has begun; also over a change of its settings.

    Attributes:
        frames: Frames that were read.
        dropped: Frames that were passed over for a newer one, as reading does not keep up.
        reads: Plates that were read in them.
        events: Records of passages.
        reconnects: How often it was lost.
        failures: Frames that the reader failed on.
    """

    frames: int = 0
    dropped: int = 0
    reads: int = 0
    events: int = 0
    reconnects: int = 0
    failures: int = 0


@dataclass(frozen=True)
class CameraState:
    """How a camera is.

    Attributes:
        name: Its name.
        state: "starting" until its first frame; "live"; "lost": it is tried again; "error": it cannot be read
            as it is set up; "off": not now, by its schedule, or not enabled; "ended": a video that is over.
        since: Since when, ISO 8601 UTC.
        detail: What was said last about what is wrong; "" where nothing is.
        fps: Frames that are read a second.
        source: Its address, without secrets.
        last_frame: When the last frame came; None before the first.
        width: Of its frames, in pixels; 0 before the first.
        height: Likewise.
        counts: See `CameraCounts`.
    """

    name: str
    state: CameraStateName
    since: str
    detail: str
    fps: float
    source: str
    last_frame: str | None
    width: int
    height: int
    counts: CameraCounts = field(default_factory=CameraCounts)

    @property
    def has_picture(self) -> bool:
        """Whether a frame of it can be shown."""
        return self.width > 0

    def about(self) -> str:
        """Returns it as one line for people: "live, 12.4 frames a second"."""
        if self.state == "live":
            return f"live, {self.fps:.1f} frames a second"
        what = {
            "starting": "starting",
            "lost": "lost, and tried again",
            "error": "in error",
            "off": "off",
            "ended": "at its end",
        }[self.state]
        return f"{what} since {self.since}" + (f": {self.detail}" if self.detail else "")

    def to_dict(self) -> dict[str, Any]:
        """Returns it as plain values."""
        found = asdict(self)
        counts: dict[str, int] = found.pop("counts")
        return found | counts


class CameraEntry:
    """One camera on the board; whoever reads it keeps it up to date.

    Args:
        name: The camera's name.
        source: Its address, without secrets.
        clock: Seconds of a clock that is never set.
    """

    def __init__(self, name: str, source: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self.source = source
        self.counts = CameraCounts()
        self._clock = clock
        self._state: CameraStateName = "starting"
        self._since = time.time()
        self._detail = ""
        self._last: float | None = None
        self._frame: Image | None = None
        self._jpeg: tuple[int, bytes] | None = None
        self._rate = (clock(), 0)
        self._fps = 0.0
        self._encoding = threading.Lock()

    def become(self, state: CameraStateName, detail: str | None = None) -> bool:
        """Says how it is; returns whether that is new.

        Args:
            state: How.
            detail: What is wrong; None leaves what was said.
        """
        if detail is not None:
            self._detail = masked(detail)
        if state == self._state:
            return False
        if state != "live":
            self._fps = 0.0
        self._state, self._since = state, time.time()
        return True

    def say(self, detail: str) -> None:
        """Says what is wrong; secrets of addresses are taken out."""
        self._detail = masked(detail)

    def saw(self, frame: Image, wall: float | None) -> None:
        """Takes in a frame that was read, uint8 H×W×3 BGR, and when it was taken."""
        self.counts.frames += 1
        self._frame, self._last = frame, wall
        began, count = self._rate
        now = self._clock()
        if now - began >= _RATE_SECONDS:
            self._fps = (self.counts.frames - count) / (now - began)
            self._rate = now, self.counts.frames
        elif not self._fps and now > began:
            self._fps = (self.counts.frames - count) / max(now - began, 1.0)

    def state(self) -> CameraState:
        """Returns how it is."""
        frame = self._frame
        height, width = (0, 0) if frame is None else frame.shape[:2]
        stands = self._clock() - self._rate[0] > 2 * _RATE_SECONDS
        return CameraState(
            self.name,
            self._state,
            iso(utc(self._since)),
            self._detail,
            0.0 if stands else round(self._fps, 2),
            self.source,
            None if self._last is None else iso(utc(self._last)),
            width,
            height,
            self.counts,
        )

    def jpeg(self) -> bytes | None:
        """Returns the last frame as JPEG, at most 1280 pixels wide; encoded once for all who look."""
        with self._encoding:
            frame, number = self._frame, self.counts.frames
            if frame is None:
                return None
            if self._jpeg is None or self._jpeg[0] != number:
                if frame.shape[1] > _WIDTH:
                    size = _WIDTH, max(1, round(frame.shape[0] * _WIDTH / frame.shape[1]))
                    shown = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
                else:
                    shown = frame
                data = encode_image(np.asarray(shown, np.uint8), ".jpg", _QUALITY)
                if data is None:
                    return None
                self._jpeg = number, data
            return self._jpeg[1]


class CameraBoard:
    """All cameras, in the order of the configuration."""

    def __init__(self) -> None:
        self._entries: dict[str, CameraEntry] = {}

    def arrange(self, sources: dict[str, str]) -> None:
        """Takes the cameras that there are; one that stays keeps what is known of it.

        Args:
            sources: The address of each, without secrets, by its name.
        """
        entries = {}
        for name, source in sources.items():
            entry = self._entries.get(name)
            if entry is None:
                entry = CameraEntry(name, source)
            entry.source = source
            entries[name] = entry
        self._entries = entries  # as a whole: others look at it meanwhile

    def __getitem__(self, camera: str) -> CameraEntry:
        return self._entries[camera]

    def get(self, camera: str) -> CameraEntry | None:
        """Returns a camera's entry; None where there is no such camera (any more)."""
        return self._entries.get(camera)

    def latest(self, camera: str) -> bytes | None:
        """Returns a camera's last frame as JPEG; None where there is none."""
        entry = self._entries.get(camera)
        return None if entry is None else entry.jpeg()

    def snapshot(self) -> list[CameraState]:
        """Returns how each camera is."""
        return [entry.state() for entry in self._entries.values()]
