"""Which parts of a video's frame are looked at: those that show something new, and plates not yet sure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_lpr.geometry import side_lengths
from edge_lpr.pipeline.motion import Grid, Scene
from edge_lpr.pipeline.settings import GateSettings
from edge_lpr.pipeline.windows import Window, joined
from edge_lpr.types import Image, Quad, Size

__all__ = ["WHOLE", "Gate", "Look", "Place"]

# Where nothing changes, a whole look waits so many times as long.
_STILL = 10.0
# Frames farther apart, in seconds, show too little of how a vehicle moves: one that has changed is looked at
# as a whole.
_SELDOM = 0.3
# From this share of the frame on, windows cost what the whole frame does.
_WHOLE_SHARE = 0.6
# A vehicle whose plate can be read is wider than this, in pixels of the detector's input: a plate of 32, the
# least that was ever read, is a quarter of a car.
_LEAST_SIDES = (32, 64)
# How far a vehicle goes beside, above and below its plate, in the plate's widths, its shadow included: all
# that moves within a car's is the vehicle; and what hangs together within a bus's is one vehicle too.
_USUAL, _LARGEST = (2.6, 4.0, 2.5), (4.5, 7.0, 3.0)
# A plate is sure after so many reads: the tracker takes them for three independent looks at most.
_ENOUGH_READS = 4
_STILL_READS = 8  # of one that stands, and is still not sure
_REST = 2  # cells by which a window is larger than what moves
# How much larger than a plate the window around it is, in its widths and heights; one that was read once may
# have gone anywhere, and of one that moves the way is known to a share of what it went since.
_MARGIN_X, _MARGIN_Y, _FIRST, _DRIFT = 0.25, 0.6, 1.0, 0.5


@dataclass(frozen=True)
class Look:
    """What of a frame is looked at.

    Attributes:
        windows: Parts of it, in source pixels; None for all of it.
        held: Numbers of the tracks whose plates stand where they were read, and look the same.
        changed: The share of the frame that looks otherwise than when it was last looked at, 0 to 1.
        share: The share of the frame that is looked at, 0 to 1.
    """

    windows: tuple[Window, ...] | None
    held: frozenset[int] = frozenset()
    changed: float = 0.0
    share: float = 1.0

    def __str__(self) -> str:
        what = "whole" if self.windows is None else f"{len(self.windows)} windows"
        return f"{what}, {self.share:.1%} looked at, {self.changed:.1%} changed, {len(self.held)} held"


WHOLE = Look(None)
"""A look at the whole frame."""


@dataclass(frozen=True)
class Place:
    """Where a plate is that is being tracked.

    Attributes:
        number: Its track.
        corners: Where it was last read, float32 4×2.
        expected: Where it should be by now.
        seen: When it was last read, or held, in seconds.
        reads: How often it was read.
        is_sure: Whether its text is as sure as it has to be to be told at once.
    """

    number: int
    corners: Quad
    expected: Quad
    seen: float
    reads: int
    is_sure: bool


class Gate:
    """Plans the looks at the frames of one source; by the frames' own times alone.

    Args:
        settings: How often what is looked at.
        input_size: Height and width that the detector brings a frame of a height and width to.
    """

    def __init__(self, settings: GateSettings, input_size: Callable[[int, int], Size]) -> None:
        self.settings = settings
        self.stretch = 1.0
        self._input_size = input_size
        self._scene: Scene | None = None
        self._last = -math.inf
        self._whole = -math.inf
        self._news = False
        self._tried: dict[int, float] = {}

    def plan(self, image: Image, time: float, places: Sequence[Place]) -> Look:
        """Says what of the next frame is looked at, and takes it for looked at.

        Args:
            image: The frame, uint8 H×W×3 BGR.
            time: When it was taken, in seconds.
            places: Where the plates are that are being tracked.
        """
        size: Size = image.shape[0], image.shape[1]
        apart, self._last = time - self._last, time
        if self._scene is None or self._scene.size != size:
            self._scene = Scene(image, time)
            return self._look_whole(1.0, time)
        changed = self._scene.compare(image)
        share = float(np.count_nonzero(changed)) / changed.size
        self._news |= share > 0
        due = self.settings.full_look * self.stretch
        since = time - self._whole + 1e-6
        if since >= (due if self._news else _STILL * due) or (apart > _SELDOM and share > 0):
            return self._look_whole(share, time)
        held, windows = self._of_places(places, time)
        windows = joined([*windows, *self._of_motion(changed, places, time)])
        looked = sum(window.area for window in windows) / (size[0] * size[1])
        if looked >= _WHOLE_SHARE:
            return self._look_whole(share, time)
        for window in windows:
            self._scene.note_look(window, time)
        return Look(tuple(windows), frozenset(held), share, looked)

    def _look_whole(self, changed: float, time: float) -> Look:
        assert self._scene is not None
        self._scene.note_look(None, time)
        self._whole, self._news = time, False
        self._tried.clear()
        return Look(None, changed=changed)

    @property
    def _interval(self) -> float:
        return self.settings.look_interval * self.stretch - 1e-6

    def _of_places(self, places: Iterable[Place], time: float) -> tuple[list[int], list[Window]]:
        """Returns the tracks that are held, and the windows around the plates whose turn it is."""
        assert self._scene is not None
        held: list[int] = []
        windows: list[Window] = []
        tried: dict[int, float] = {}
        for place in places:
            last = tried[place.number] = self._tried.get(place.number, place.seen)
            is_known = place.is_sure and place.reads >= _ENOUGH_READS
            at = self._scene.inside(Window.around(place.corners))
            stands = not self._scene.changed[at].any()
            if stands and self._scene.looked[at].max() <= place.seen + 1e-6:
                if is_known or place.reads >= _STILL_READS:
                    held.append(place.number)
                    continue
            if (is_known or stands) and time - max(last, place.seen) < self._interval:
                continue
            window = _around(place, time).clipped(self._scene.size)
            if window.width > 0 and window.height > 0:
                tried[place.number] = time
                windows.append(window)
        self._tried = tried
        return held, windows

    def _of_motion(self, changed: Grid, places: Iterable[Place], time: float) -> list[Window]:
        """Returns the windows around what moves, where no plate that is tracked explains it."""
        assert self._scene is not None
        scene = self._scene
        new = changed.astype(np.uint8)
        self._explain(new, [place for place in places if place.reads > 1])
        taken = self._input_size(*scene.size)
        least = [side * rows / whole for side, rows, whole in zip(_LEAST_SIDES, new.shape, taken, strict=True)]
        windows: list[Window] = []
        for cells, own in _parts(new):
            if cells.height < least[0] or cells.width < least[1]:
                continue
            if time - float(scene.looked[cells.slices][own].mean()) < self._interval:
                continue
            windows.append(scene.of_cells(cells.grown(_REST)).clipped(scene.size))
        return windows

    def _explain(self, new: NDArray[np.uint8], places: Sequence[Place]) -> None:
        """Takes the vehicles of plates that are tracked out of what is new."""
        if not places:
            return
        assert self._scene is not None
        vehicles = [self._scene.cells(_vehicle(place.expected, _LARGEST)) for place in places]
        for cells, own in _parts(new):
            if any(vehicle.holds(cells) for vehicle in vehicles):
                new[cells.slices][own] = 0
        for place in places:
            new[self._scene.inside(_vehicle(place.expected, _USUAL))] = 0


def _parts(new: NDArray[np.uint8]) -> Iterator[tuple[Window, Grid]]:
    """Gives what hangs together, with gaps of up to four cells: the cells around, and which of them are its."""
    if not new.any():
        return
    wide = cv2.dilate(new, np.ones((5, 5), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(wide)
    for label in range(1, count):
        left, top, width, height = (int(v) for v in stats[label, :4])
        cells = Window(left, top, left + width, top + height)
        yield cells, (labels[cells.slices] == label) & (new[cells.slices] > 0)


def _around(place: Place, time: float) -> Window:
    """Returns the window that a plate should be in."""
    corners = place.expected
    low, high = corners.min(axis=0), corners.max(axis=0)
    width, height = (float(v) for v in high - low)
    x, y = _MARGIN_X * width, _MARGIN_Y * height
    if place.reads < 2:
        x, y = x + _FIRST * width, y + _FIRST * width
    else:
        gone = np.abs(place.expected.mean(axis=0) - place.corners.mean(axis=0))
        x, y = x + _DRIFT * float(gone[0]), y + _DRIFT * float(gone[1])
    return Window.around(corners, (x, y))


def _vehicle(corners: Quad, reach: tuple[float, float, float]) -> Window:
    """Returns where the vehicle may be that a plate belongs to: so many widths beside, above and below it."""
    beside, above, below = (float(side_lengths(corners)[0]) * share for share in reach)
    x, y = (float(v) for v in corners.mean(axis=0))
    return Window(math.floor(x - beside), math.floor(y - above), math.ceil(x + beside), math.ceil(y + below))
