"""Looks at frames that have gone by: for the first and the last one that shows a plate."""

from __future__ import annotations

import math
from collections import deque
from typing import NamedTuple, Protocol

import numpy as np

from edge_lpr.io.frames import Frame
from edge_lpr.pipeline.looks import Look, Place, Seen
from edge_lpr.pipeline.tracker import PlateTracker
from edge_lpr.pipeline.windows import Window
from edge_lpr.plates import PlateRead
from edge_lpr.types import Image, Quad

__all__ = ["LookBack", "RecentFrames"]

# Frames are kept for so many seconds, and so many bytes of them: 10 of 1920×1080, and 2 of 3840×2160.
_SECONDS, _BYTES = 0.8, 64_000_000
# Where a plate was not read in frames of so many seconds on end, it was not there before.
_GIVE_UP = 0.6
# Where it was read last is looked for in frames of so many seconds since it was seen: what fades is read by
# chance.
_FADING = 0.5
# How much larger than a plate the window around it is, in its widths and heights; and where nobody knows yet
# how it moves, by so many widths more.
_MARGIN_X, _MARGIN_Y, _FIRST = 0.4, 1.0, 1.0
_EVEN = 1e-6  # seconds by which the times of frames are rounded


class WindowReader(Protocol):
    """What is needed of a reader here; `PlateReader` is one."""

    def read_look(self, image: Image, look: Look) -> Seen:
        """Reads the plates in what is looked at of a frame; see `PlateReader.read_look`."""
        ...


class _Kept(NamedTuple):
    frame: Frame
    look: Look

    @property
    def time(self) -> float:
        return self.frame.time or 0.0


class Found(NamedTuple):
    """A frame that had gone by, what was read in it afterwards, and of which track that is."""

    frame: Frame
    read: PlateRead
    track: int


class Done(NamedTuple):
    """How many windows were looked at, how much that is in whole frames, and what was found there."""

    windows: int = 0
    share: float = 0.0
    found: tuple[Found, ...] = ()


class RecentFrames:
    """The frames of a source's last moments, and what of each was looked at.

    Args:
        seconds: For how long they are kept.
        most_bytes: How many bytes of them.
    """

    def __init__(self, seconds: float = _SECONDS, most_bytes: int = _BYTES) -> None:
        self._seconds = seconds
        self._most = most_bytes
        self._kept: deque[_Kept] = deque()
        self._bytes = 0

    @property
    def bytes(self) -> int:
        """How many bytes the frames have."""
        return self._bytes

    def add(self, frame: Frame, look: Look) -> None:
        """Takes the newest frame; what it has no room beside is forgotten."""
        self._kept.append(_Kept(frame, look))
        self._bytes += frame.image.nbytes
        oldest = (frame.time or 0.0) - self._seconds - _EVEN
        while self._kept and (self._bytes > self._most or self._kept[0].time < oldest):
            self._bytes -= self._kept.popleft().frame.image.nbytes

    def clear(self) -> None:
        """Forgets all."""
        self._kept.clear()
        self._bytes = 0

    def before(self, time: float) -> list[_Kept]:
        """Returns those before a time in seconds, the newest first."""
        return [kept for kept in reversed(self._kept) if kept.time < time - _EVEN]

    def after(self, time: float) -> list[_Kept]:
        """Returns those after a time in seconds, the oldest first."""
        return [kept for kept in self._kept if kept.time > time + _EVEN]


class LookBack:
    """Finds since when a plate could be read, and until when: what is looked at now and then shows neither.

    Args:
        reader: Reads windows.
        tracker: Has the tracks, and takes what is read.
        frames: Keeps the frames that have gone by; None for as many as is usual.
    """

    def __init__(
        self, reader: WindowReader, tracker: PlateTracker, frames: RecentFrames | None = None
    ) -> None:
        self._done = Done()
        self._reader = reader
        self._tracker = tracker
        self._frames = RecentFrames() if frames is None else frames
        self._begun = 0  # the newest track whose beginning was looked for
        self._until: dict[int, float] = {}  # up to when the end of each was looked for, in seconds

    def update(self, frame: Frame, look: Look, *, wanted: bool = True) -> Done:
        """Looks back after a frame was looked at and its reads were taken in.

        Args:
            frame: The frame.
            look: What of it was looked at.
            wanted: Whether there is time for it; what is missed so is not made up for.

        Returns:
            What was looked at.

        Raises:
            BackendError: The backend failed.
        """
        self._done = Done()
        time = frame.time or 0.0
        self._frames.add(frame, look)
        places = self._tracker.places(time)
        self._until = {p.number: self._until[p.number] for p in places if p.number in self._until}
        for place in places if wanted else ():
            if place.number > self._begun:
                self._find_begin(place.number, place.seen)
            elif place.seen < time - _EVEN and _was_missed(place, look, frame.image):
                self._find_end(place)
        self._begun = max((self._begun, *(place.number for place in places)))
        return self._done

    def finish(self) -> Done:
        """Looks for the ends of plates in view at the end of the source, and forgets its frames."""
        self._done = Done()
        for place in self._tracker.places(math.inf):
            self._find_end(place)
        self._frames.clear()
        return self._done

    def _find_begin(self, number: int, first: float) -> None:
        for kept in self._frames.before(first):
            if first - kept.time > _GIVE_UP:
                return
            if self._reads(kept, number):
                first = kept.time

    def _find_end(self, place: Place) -> None:
        since = max(place.shown, self._until.get(place.number, place.shown))
        later = [kept for kept in self._frames.after(since) if kept.time <= place.seen + _FADING]
        if later:
            self._until[place.number] = later[-1].time
        # The last one that shows it, as far as is known by now where it should be; and from there on.
        newest = next((i for i in reversed(range(len(later))) if self._reads(later[i], place.number)), None)
        if newest is not None:
            for kept in later[newest + 1 :]:
                if not self._reads(kept, place.number):
                    break

    def _reads(self, kept: _Kept, number: int) -> bool:
        """Reads a plate in a frame where it was not read yet; tells whether it is there."""
        place = self._place(number, kept.time)
        return (number in kept.look.followed or _shows(kept, place)) and self._look(kept, place)

    def _place(self, number: int, time: float) -> Place:
        return next(place for place in self._tracker.places(time) if place.number == number)

    def _look(self, kept: _Kept, place: Place) -> bool:
        """Reads a plate in a frame that has gone by; tells whether it is there."""
        window = _window_of(place).clipped(kept.frame.image.shape[:2])
        if not window.area:
            return False
        frame = kept.frame
        seen = self._reader.read_look(frame.image, Look((window,), False, plates=(place.expected,)))
        read = self._tracker.recall(place.number, seen.reads, frame.index, kept.time, frame.image, frame.wall)
        windows, share, found = self._done
        share += window.area / (frame.image.shape[0] * frame.image.shape[1])
        more = () if read is None else (Found(frame, read, place.number),)
        self._done = Done(windows + 1, share, found + more)
        return read is not None


def _window_of(place: Place) -> Window:
    width, height = (float(v) for v in np.ptp(place.expected, axis=0))
    more = _FIRST * width if place.reads < 2 else 0.0
    return Window.around(place.expected, (_MARGIN_X * width + more, _MARGIN_Y * height + more))


def _shows(kept: _Kept, place: Place) -> bool:
    """Tells whether a frame may show a plate that was not looked for in it."""
    return _is_inside(place.expected, kept.frame.image) and not _looked_at(kept.look, place.expected)


def _looked_at(look: Look, quad: Quad) -> bool:
    at = Window.around(quad)
    return look.windows is None or any(window.holds(at) for window in look.windows)


def _was_missed(place: Place, look: Look, image: Image) -> bool:
    """Tells whether a plate that was not seen in a frame was looked for, or should have left it."""
    return not _is_inside(place.expected, image) or _looked_at(look, place.expected)


def _is_inside(quad: Quad, image: Image) -> bool:
    x, y = quad.mean(axis=0)
    height, width = image.shape[:2]
    return bool(0 <= x < width and 0 <= y < height)
