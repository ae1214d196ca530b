"""Frames of one opened capture, past what is damaged: the loop that files and live sources share."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from edge_lpr.io.checked_capture import Capture
from edge_lpr.types import Image

__all__ = ["DEFAULT_FPS", "Decoded", "Decoder", "end_notes"]

DEFAULT_FPS = 25.0  # where a container names none: PAL's, what most Chinese cameras are set to
# Tries to get past damage in a file: ten seconds of it. At the end of a file they cost nothing.
_BROKEN_FILE = 250
_BROKEN_LIVE = 4  # each may take as long as the time limit


@dataclass(frozen=True, eq=False)
class Decoded:
    """One frame.

    Attributes:
        image: uint8 H×W×3 BGR.
        index: Its position, from 0.
        seconds: Its time by the container's own clock; it never stands still or goes backwards.
    """

    image: Image
    index: int
    seconds: float


class Decoder:
    """Decodes what was opened, frame by frame.

    Args:
        capture: An open capture.
        live: Whether it is live; None finds out: what knows its number of frames is read like a file.
        stride: Every stride-th frame is decoded in full and given.

    Attributes:
        live: Whether it is live.
        fps: Frames per second where known.
        promised: How many frames a file says that it has; 0 where that is not known.
        received: Frames gone past so far.
        skipped: Those of them that could not be decoded.
        seconds: Time of the last frame; see `Decoded.seconds`.
    """

    def __init__(self, capture: Capture, live: bool | None, stride: int) -> None:
        self._capture = capture
        self._stride = stride
        count, fps = capture.get(cv2.CAP_PROP_FRAME_COUNT), capture.get(cv2.CAP_PROP_FPS)
        known = math.isfinite(count) and 0 < count < 1e9
        self.live = not known if live is None else live
        self.fps = float(fps) if math.isfinite(fps) and 0 < fps <= 1000 else None
        self.promised = int(count) if known and not self.live else 0
        self.received = 0
        self.skipped = 0
        self.seconds = 0.0

    @property
    def total(self) -> int | None:
        """Number of frames that will be given, where known."""
        return math.ceil(self.promised / self._stride) if self.promised else None

    def frames(self, go_on: Callable[[], bool]) -> Iterator[Decoded]:
        """Gives the frames.

        Args:
            go_on: Asked before each frame, given or not; the frames end when it says no.
        """
        step = 1 / (self.fps or DEFAULT_FPS)
        while self._grab(go_on):
            index = self.received
            self.received += 1
            # Containers are wrong about time now and then.
            stamp = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
            later = self.seconds + step if index else 0.0
            self.seconds = stamp if math.isfinite(stamp) and stamp > self.seconds else later
            if index % self._stride:
                continue
            ok, image = self._capture.retrieve()
            if not ok or image is None or image.size == 0:
                self.skipped += 1
                continue
            if image.ndim == 2:
                image = cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
            yield Decoded(np.asarray(image, np.uint8), index, self.seconds)

    def ends_early(self) -> bool:
        """Tells whether a file has ended long before it said it would."""
        # A count may be an estimate (length × rate), wrong for a variable rate: the clock must agree.
        promised, step = self.promised, 1 / (self.fps or DEFAULT_FPS)
        short = self.received < promised - max(2, 0.02 * promised)
        return short and self.seconds + step < 0.98 * promised * step - 0.1

    def _grab(self, go_on: Callable[[], bool]) -> bool:
        """Goes to the next frame that can be decoded; False at the end.

        A damaged frame makes `grab` fail exactly as the end does; only what comes after tells them apart.
        """
        for failed in range(_BROKEN_LIVE if self.live else _BROKEN_FILE):
            if not go_on() or (failed and 0 < self.promised <= self.received):
                return False
            if self._capture.grab():
                self.skipped += failed
                self.received += failed
                return True
        return False


def end_notes(label: str, received: int, promised: int, skipped: int, early: bool) -> list[str]:
    """Returns what is to be said at the end of a video: a line for each thing that is wrong with it.

    Args:
        label: What to call it.
        received: Frames gone past.
        promised: Frames that it said it has.
        skipped: Frames that could not be decoded.
        early: Whether it ended long before it said it would.
    """
    notes = []
    if early:
        notes.append(
            f"{label}: ends early: {received} of {promised} promised frames can be decoded; what they show "
            "was read"
        )
    if skipped:
        notes.append(f"{label}: {skipped} frames could not be decoded and were skipped")
    return notes
