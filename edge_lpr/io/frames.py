"""What every source gives: frames, and what is known about where they come from."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from edge_lpr.errors import SourceError
from edge_lpr.types import Image

__all__ = ["Frame", "PolledSource", "Source"]


@dataclass(frozen=True, eq=False)
class Frame:
    """One image out of a source.

    Attributes:
        image: uint8 H×W×3 BGR.
        index: Position in the source, from 0; of a live source, the number of frames received before it.
        time: Seconds since the source's first frame (by a file's own clock, by this machine's for live
            sources); None for an image.
        name: What to call it: the image's path, or the source's label.
        wall: When it was taken, in seconds since the epoch, by this machine's clock; live sources alone.
        lasts: For how long a file shows it until the next one, in seconds; 0 where nothing says so.
    """

    image: Image
    index: int
    time: float | None
    name: str
    wall: float | None = None
    lasts: float = 0.0


class Source:
    """Something that gives frames; iterate over it once, then `close` it (or use it in a `with`).

    Attributes:
        label: What to call it; never holds a secret.
        live: Whether it is a camera or stream: no end, newest frame only, one may wait for a frame.
        is_image: Whether its frames are unrelated images.
        total: Number of frames where known.
        fps: Frames per second where known.
        started: Time of day of time 0, in seconds since the epoch, for a live source.
        root: The folder that its images' or video's place in results is relative to, where one was given.
        received: Images or frames gone past, given or not.
        skipped: Images or frames that could not be decoded.
        dropped: Frames of a live source that were passed over for a newer one.
        losses: How often a live source was lost.
        last_frame: When the last frame of a live source came, in seconds since the epoch.
        state: "open", "done", "ends early" or "source lost"; of a live source also "opening" before it was
            reached, and "trying again" while it is gone.
        on_warning: Called with one line for each thing that went wrong without ending the source.
    """

    live = False
    is_image = False

    def __init__(self, label: str, on_warning: Callable[[str], None]) -> None:
        self.label = label
        self.on_warning = on_warning
        self.total: int | None = None
        self.fps: float | None = None
        self.started: float | None = None
        self.root: Path | None = None
        self.received = 0
        self.skipped = 0
        self.dropped = 0
        self.losses = 0
        self.last_frame: float | None = None
        self.state = "open"

    def __iter__(self) -> Iterator[Frame]:
        """Gives the frames.

        Raises:
            SourceError: Nothing could be read.
        """
        raise NotImplementedError

    def stop(self) -> None:
        """Has it end, and does not wait for that: for who is about to close several."""

    def close(self) -> None:
        """Frees what the source holds; may be called twice."""

    def __enter__(self) -> Source:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class PolledSource(Source):
    """A source that is asked for what it has, among others: it never waits longer than it is told to.

    Attributes:
        wake: Set whenever something has happened; for who reads several sources.
        failure: Why it was given up without a frame; None where it was not.
    """

    def __init__(self, label: str, on_warning: Callable[[str], None]) -> None:
        super().__init__(label, on_warning)
        self.wake: threading.Event | None = None
        self.failure: SourceError | None = None

    @abstractmethod
    def read(self, wait: float = 0.0) -> Frame | None:
        """Returns the next frame, or None where none came in `wait` seconds, or it was lost or ended.

        Raises:
            SourceError: The source could not be reached and is given up.
        """

    @property
    @abstractmethod
    def ended(self) -> bool:
        """Whether no more frame will come."""

    @abstractmethod
    def now(self) -> float | None:
        """Returns what a frame's `time` would be that is taken now; None where there is no such clock."""

    def __iter__(self) -> Iterator[Frame]:
        # Short waits: a thread that waits for good in a lock would see Ctrl-C only after the next frame.
        while not self.ended:
            frame = self.read(0.2)
            if frame is not None:
                yield frame
