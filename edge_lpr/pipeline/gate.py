"""Which parts of a video's frame are looked at: those that show something new, and plates not yet sure."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_lpr.geometry import side_lengths
from edge_lpr.pipeline.looks import Look, Place
from edge_lpr.pipeline.motion import Grid, Scene
from edge_lpr.pipeline.settings import GateSettings
from edge_lpr.pipeline.windows import Window, joined
from edge_lpr.types import Image, Quad, Size

__all__ = ["Gate"]

# Where nothing changes, a whole look waits so many times as long; where a camera is not kept up with, it
# waits so many times as long for plates that are not known yet.
_STILL, _PATIENCE = 10.0, 3.0
# Frames farther apart, in seconds, show too little of how a vehicle moves: one that has changed is looked at
# as a whole.
_SELDOM = 0.3
# From this share of the frame on, windows cost what the whole frame does.
_WHOLE_SHARE = 0.6
# What moves is higher and wider than this, in pixels of the detector's input, where a plate on it can be
# read: one of 32, the least that is ever read, is a quarter of a car.
_LEAST_SIDES = (32, 64)
_REST = 2  # cells by which a window is larger than what moves
# How far a vehicle goes beside, above and below its plate, in the plate's widths, its shadow included: all
# that moves within a car's is the vehicle; and what hangs together within a bus's is one vehicle too.
_USUAL, _LARGEST = (2.6, 4.0, 2.5), (3.6, 7.0, 3.0)
# A plate is known after so many reads while it was near (the tracker takes them for three independent looks
# at most). After so many from afar, where it is surer than it should be, it is looked for as seldom, but read
# each time. One that stands is let be after more reads, sure or not.
_ENOUGH_READS, _STILL_READS = 4, 8
# One that is known is read again after so many looks; between them it is enough to see that it is there.
_READ_EVERY = 2
# It is looked for so many times as seldom as what moves, if it goes by less than this share of its width.
_KNOWN, _FAR = 2.0, 0.5
# A plate that was not found so often is looked for less and less often.
_MISSES = 3
# How much larger than a plate the window around it is, in its widths and heights; one that was read once may
# have gone anywhere, and of one that moves the way is known to a share of what it went since.
_MARGIN_X, _MARGIN_Y, _FIRST, _DRIFT = 0.25, 0.6, 1.0, 0.5
_STARTS = 0.5  # seconds for which one that stood is looked at in each frame, once it moves
_EVEN = 1e-6  # seconds by which the times of frames are rounded


class _Try(NamedTuple):
    """When a plate was last looked for, in seconds, and how often on end it was not found if not then."""

    time: float
    misses: int


class Gate:
    """Plans the looks at the frames of one source; by the frames' own times alone.

    A whole frame is looked at first, and at least once in `full_look` seconds. Between them windows are:
    around plates that are being tracked, each frame until they are known; and around what moves, where that
    is not the vehicle of such a plate.

    Args:
        settings: How often what is looked at.
        input_size: Gives height and width that the detector brings a frame of a height and width to.

    Attributes:
        stretch: By what all times between looks are longer, from 1: see `Load`.
    """

    def __init__(self, settings: GateSettings, input_size: Callable[[int, int], Size]) -> None:
        self.stretch = 1.0
        self._settings = settings
        self._input_size = input_size
        self._scene: Scene | None = None
        self._last = -math.inf
        self._whole = -math.inf
        self._news = False
        self._tries: dict[int, _Try] = {}
        self._held: dict[int, float] = {}  # when each plate was held last, in seconds

    @property
    def interval(self) -> float:
        """Seconds between two looks at what moves."""
        return self._settings.look_interval * self.stretch

    @property
    def known_interval(self) -> float:
        """Seconds between two looks at a plate that is known."""
        return _KNOWN * self.interval

    def plan(self, image: Image, time: float, places: Sequence[Place] = ()) -> Look:
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
            return self._look_whole(1.0, time, places)
        changed = self._scene.compare(image)
        share = float(np.count_nonzero(changed)) / changed.size
        self._news |= share > 0
        if self._is_whole_due(time, places) or (share > 0 and apart > _SELDOM * self.stretch):
            return self._look_whole(share, time, places)
        known = [place for place in places if _is_known(place)]
        held = frozenset(place.number for place in places if self._stands(place, known=place in known))
        wanted = {
            place.number: window
            for place in places
            if place.number not in held and (window := self._around(place, time)) is not None
        }
        explaining = [p for p in places if p.reads > 1 and (self._misses(p) < _MISSES or self._is_gone(p))]
        windows = joined([*wanted.values(), *self._of_motion(changed, explaining, time)])
        looked = sum(window.area for window in windows) / (size[0] * size[1])
        if looked >= _WHOLE_SHARE:
            return self._look_whole(share, time, places)
        self._note_tries(places, wanted, time)
        self._held = {n: at for n, at in self._held.items() if time - at <= _STARTS}
        self._held.update(dict.fromkeys(held, time))
        followed = self._followed((p for p in places if p.number in wanted), time)
        for window in windows:
            self._scene.note_look(window, time)
        return Look(tuple(windows), False, followed, held, _quads(places), share, looked)

    def _is_whole_due(self, time: float, places: Iterable[Place]) -> bool:
        due, since = self._settings.full_look * self.stretch, time - self._whole + _EVEN
        if not self._news:
            due *= _STILL
        elif self.stretch > 1 and not all(_is_settled(place) for place in places):
            due *= _PATIENCE
        return since >= due

    def _look_whole(self, changed: float, time: float, places: Sequence[Place]) -> Look:
        assert self._scene is not None
        followed = self._followed(places, time)
        self._scene.note_look(None, time)
        self._whole, self._news = time, False
        self._note_tries(places, {place.number for place in places}, time)
        return Look(None, True, followed, plates=_quads(places), changed=changed)

    def _followed(self, places: Iterable[Place], time: float) -> dict[int, Quad]:
        """Returns where those of these plates should be that are known, and need not be read again yet."""
        again = _READ_EVERY * self.known_interval - _EVEN
        # One that has stopped is read, and then held.
        moving = (p for p in places if _is_known(p) and not self._is_still(p))
        return {p.number: p.expected for p in moving if time - p.read < again}

    def _note_tries(self, places: Sequence[Place], tried: Collection[int], time: float) -> None:
        """Takes in which plates are looked for; of those that are not, what was known before is kept."""
        self._tries = {
            number: _Try(time, self._misses(place) + 1) if number in tried else self._tries[number]
            for place in places
            if (number := place.number) in tried or number in self._tries
        }

    def _stands(self, place: Place, *, known: bool) -> bool:
        """Tells whether a plate need not be looked at: it looks as it did when it was last seen, and read."""
        assert self._scene is not None
        looked = self._scene.looked[self._scene.inside(Window.around(place.corners))].max()
        was_read = looked <= place.seen + _EVEN and place.shown >= place.seen - _EVEN
        return bool(self._is_still(place) and was_read and (known or place.reads >= _STILL_READS))

    def _is_still(self, place: Place) -> bool:
        assert self._scene is not None
        return not self._scene.changed[self._scene.inside(Window.around(place.corners))].any()

    def _misses(self, place: Place) -> int:
        last = self._tries.get(place.number)
        return 0 if last is None or place.seen >= last.time - _EVEN else last.misses

    def _around(self, place: Place, time: float) -> Window | None:
        """Returns the window that a plate should be in; None where it is not its turn, or it is gone."""
        assert self._scene is not None
        if self._is_gone(place):
            return None
        misses = self._misses(place)
        stands = self._is_still(place)
        starts = place.number in self._held
        moves = not stands and not starts
        passed, settled = _is_known(place) and moves, _is_settled(place) and moves
        # One that is known and has gone is to be read no more, and not by chance a second later.
        pause = self.interval * 2 ** (misses if passed else max(misses - _MISSES + 1, 0))
        if settled and not misses and _gone(place) < _FAR:
            pause = self.known_interval
        last = max(place.seen, self._tries[place.number].time if misses else -math.inf)
        if (settled or stands or misses >= _MISSES) and time - last < pause - _EVEN:
            return None
        anywhere = place.reads < 2 or (starts and place.seen <= self._held[place.number])
        return _window_of(place, anywhere=anywhere).clipped(self._scene.size)

    def _is_gone(self, place: Place) -> bool:
        """Tells whether a plate should have left the frame."""
        assert self._scene is not None
        x, y = place.expected.mean(axis=0)
        height, width = self._scene.size
        return not (0 <= x < width and 0 <= y < height)

    def _of_motion(self, changed: Grid, places: Sequence[Place], time: float) -> list[Window]:
        """Returns the windows around what moves, where it is not the vehicle of one of these plates."""
        assert self._scene is not None
        scene = self._scene
        new = changed.astype(np.uint8)
        self._explain(new, places)
        taken = self._input_size(*scene.size)
        least = [
            side * cells / whole for side, cells, whole in zip(_LEAST_SIDES, new.shape, taken, strict=True)
        ]
        windows: list[Window] = []
        for cells, own in _parts(new):
            if cells.height < least[0] or cells.width < least[1]:
                continue
            # Of what moves fast the better part was never looked at.
            if time - float(scene.looked[cells.slices][own].mean()) >= self.interval - _EVEN:
                windows.append(scene.of_cells(cells.grown(_REST)).clipped(scene.size))
        return windows

    def _explain(self, new: NDArray[np.uint8], places: Sequence[Place]) -> None:
        """Takes the vehicles of plates out of what is new, uint8 h×w."""
        assert self._scene is not None
        vehicles = [self._scene.cells(_vehicle(place.expected, _LARGEST)) for place in places]
        for cells, own in _parts(new) if vehicles else ():
            if any(vehicle.holds(cells) for vehicle in vehicles):
                new[cells.slices][own] = 0
        for place in places:
            new[self._scene.inside(_vehicle(place.expected, _USUAL))] = 0


def _quads(places: Iterable[Place]) -> tuple[Quad, ...]:
    return tuple(place.expected for place in places)


def _is_known(place: Place) -> bool:
    return place.is_sure and place.near_reads >= _ENOUGH_READS


def _is_settled(place: Place) -> bool:
    """Tells whether a plate is known, or as well as it can be from afar."""
    return _is_known(place) or (place.is_sure and not place.near_reads and place.reads >= _ENOUGH_READS)


def _gone(place: Place) -> float:
    """Returns how far a plate should have gone since it was seen, in its widths."""
    way = place.expected.mean(axis=0) - place.corners.mean(axis=0)
    return float(np.linalg.norm(way)) / max(float(side_lengths(place.corners)[0]), 1.0)


def _parts(new: NDArray[np.uint8]) -> Iterator[tuple[Window, Grid]]:
    """Gives what hangs together, but for four cells at most: the cells around it, and which are its own."""
    if not new.any():
        return
    wide = cv2.dilate(new, np.ones((5, 5), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(wide)
    for label in range(1, count):
        left, top, width, height = (int(v) for v in stats[label, :4])
        cells = Window(left, top, left + width, top + height)
        yield cells, (labels[cells.slices] == label) & (new[cells.slices] > 0)


def _window_of(place: Place, *, anywhere: bool) -> Window:
    width, height = (float(v) for v in np.ptp(place.expected, axis=0))
    x, y = _MARGIN_X * width, _MARGIN_Y * height
    if anywhere:
        x, y = x + _FIRST * width, y + _FIRST * width
    gone = np.abs(place.expected.mean(axis=0) - place.corners.mean(axis=0))
    return Window.around(place.expected, (x + _DRIFT * float(gone[0]), y + _DRIFT * float(gone[1])))


def _vehicle(corners: Quad, reach: tuple[float, float, float]) -> Window:
    """Returns where the vehicle may be that a plate belongs to: so many widths beside, above and below it."""
    beside, above, below = (float(side_lengths(corners)[0]) * share for share in reach)
    x, y = (float(v) for v in corners.mean(axis=0))
    return Window(math.floor(x - beside), math.floor(y - above), math.ceil(x + beside), math.ceil(y + below))
