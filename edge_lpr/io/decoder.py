"""What decodes an opened video or live source: its frames one by one, past what is damaged."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from edge_lpr.counting import counted
from edge_lpr.errors import SourceError
from edge_lpr.io.image_header import BYTES_PER_PIXEL
from edge_lpr.io.image_io import too_many
from edge_lpr.types import Image

__all__ = ["DEFAULT_FPS", "Decoded", "Decoder", "end_notes"]

DEFAULT_FPS = 25.0  # where a container names none: PAL's, what most Chinese cameras are set to


@dataclass(frozen=True, eq=False)
class Decoded:
    """One frame.

    Attributes:
        image: uint8 H×W×3 BGR.
        index: Its position, from 0.
        seconds: Its time by the container's own clock; it never stands still or goes backwards.
        lasts: For how long it is shown until the next one that is given, in seconds; 0 where nothing says so.
    """

    image: Image
    index: int
    seconds: float
    lasts: float = 0.0


class Decoder(ABC):
    """Decodes what was opened, frame by frame.

    Args:
        label: What messages call it.
        stride: Every stride-th frame is decoded in full and given.
        max_pixels: The largest frame, in pixels of uint8 BGR.

    Attributes:
        live: Whether it is live.
        fps: Frames per second where known.
        promised: How many frames a file says that it has; 0 where that is not known.
        done: Whether what is live has come to the end that it was to have, and is not to be opened again.
        pause: Seconds that lie between two frames by intent, where it asks for each of them; else 0.
        received: Frames gone past so far.
        skipped: Those of them that could not be decoded.
        seconds: Time of the last frame; see `Decoded.seconds`.
    """

    def __init__(self, label: str, stride: int, max_pixels: int) -> None:
        self.live = False
        self.fps: float | None = None
        self.promised = 0
        self.done = False
        self.pause = 0.0
        self.received = 0
        self.skipped = 0
        self.seconds = 0.0
        self._label = label
        self._stride = stride
        self._max_pixels = max_pixels

    @property
    def total(self) -> int | None:
        """Number of frames that will be given, where known."""
        return math.ceil(self.promised / self._stride) if self.promised else None

    @property
    def length(self) -> float:
        """How long what was gone past is, in seconds."""
        return self.seconds + 1 / (self.fps or DEFAULT_FPS)

    @abstractmethod
    def frames(self, go_on: Callable[[], bool]) -> Iterator[Decoded]:
        """Gives the frames.

        Args:
            go_on: Asked before each frame, given or not; the frames end when it says no.

        Raises:
            SourceError: A frame is too large.
        """

    @abstractmethod
    def close(self) -> None:
        """Frees what it holds; may be called twice."""

    def ends_early(self) -> bool:
        """Tells whether a file has ended long before it said it would."""
        return False

    def _count(self, seconds: float | None) -> int:
        """Counts a frame in; returns its index.

        Args:
            seconds: Its time as its container says; containers are wrong about it now and then.
        """
        index = self.received
        self.received += 1
        later = self.seconds + 1 / (self.fps or DEFAULT_FPS) if index else 0.0
        right = seconds is not None and math.isfinite(seconds) and seconds > self.seconds
        self.seconds = seconds if right and seconds is not None else later
        return index

    def _check_size(self, width: float, height: float, counted: float | None = None) -> None:
        """Refuses a frame that is too large.

        Args:
            width: In pixels.
            height: In pixels.
            counted: What it counts for where that is not width × height.
        """
        if (width * height if counted is None else counted) > self._max_pixels:
            raise SourceError(
                f"{self._label}: frames of {width:.0f}×{height:.0f} pixels, {too_many(self._max_pixels)}"
            )

    def _check_image(self, image: Image) -> None:
        if image.nbytes > BYTES_PER_PIXEL * self._max_pixels:
            self._check_size(image.shape[1], image.shape[0], image.nbytes // BYTES_PER_PIXEL)


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
        notes.append(f"{label}: {counted(skipped, 'frames')} skipped that could not be decoded")
    return notes
