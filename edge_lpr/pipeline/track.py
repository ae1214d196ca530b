"""One vehicle in view: its reads added up, where its plate is, and since when."""

from __future__ import annotations

import numpy as np

from edge_lpr.geometry import crop_quad, side_lengths
from edge_lpr.pipeline.events import Moment
from edge_lpr.pipeline.fusion import FusedText, ReadSums, read_weight
from edge_lpr.plates import PlateRead
from edge_lpr.types import Image, Quad

__all__ = ["Track"]


class Track:
    """One vehicle in view.

    Args:
        number: Its number within the source, from 1.
        id: The identifier in its events.
        read: Its first read.
        moment: When that was.
        image: The frame, uint8 H×W×3 BGR, for the event's crop; or None.
        near_width: How wide a plate is in pixels that is near.

    Attributes:
        reads: How often its plate was read.
        near_reads: How often it was near then.
        first: When it was read first.
        last: When it was seen last, read or not.
        shown: When it was last read, or stood as it was read.
        read_at: When it was last read, in seconds.
        sums: What its reads add up to.
        known: What they say, where that is sure enough.
        is_fused: Whether `known` is that of all reads.
        known_since: Since when it may be reported, in seconds.
        told: What was told last.
        told_at: When that was, in seconds.
        best: The best of its reads.
        crop: What that one was cut out, uint8 h×w×3 BGR; None without an image.
        corners: Where the plate was seen last, float32 4×2.
        first_corners: Where it was read first.
    """

    def __init__(
        self,
        number: int,
        id: str,  # noqa: A002
        read: PlateRead,
        moment: Moment,
        image: Image | None,
        near_width: int = 0,
    ) -> None:
        self.number = number
        self.id = id
        self.reads = self.near_reads = 0
        self._near_width = near_width
        self.first = self.last = self.shown = moment
        self.read_at = moment.time
        self.sums = ReadSums()
        self.known: FusedText | None = None
        self.is_fused = False
        self.known_since: float | None = None
        self.told: FusedText | None = None
        self.told_at = 0.0
        self.best = read
        self.crop: Image | None = None
        self._best_weight = -1.0
        self.corners = self.first_corners = read.corners
        self._speed = self._first_speed = np.zeros(2)  # pixels per second
        self.add(read, moment, image)

    def add(self, read: PlateRead, moment: Moment, image: Image | None) -> None:
        """Adds one read: the newest, one from before the first, or one since the last."""
        if moment.time < self.first.time:
            self._begin_at(read.corners, moment)
        elif moment.time >= self.last.time:
            self._move(read.corners, moment)
        if moment.time >= self.shown.time:
            self.shown, self.read_at = moment, moment.time
        self.reads += 1
        self.near_reads += bool(side_lengths(read.corners).max() >= self._near_width)
        weight = read_weight(read)
        self.sums.add(read, weight)
        self.is_fused = False
        if weight > self._best_weight:
            self._best_weight = weight
            self.best = read
            self.crop = None if image is None else crop_quad(image, read.corners)

    def follow(self, corners: Quad, moment: Moment) -> None:
        """Takes in where its plate is, unread."""
        self._move(corners, moment)

    def hold(self, moment: Moment) -> None:
        """Takes in that its plate stands and looks as it did: where it was read then, it could be now."""
        was_read = self.shown.time >= self.last.time
        self._move(self.corners, moment)
        if was_read:
            self.shown = moment

    def expected(self, time: float, steady: float) -> Quad:
        """Returns where the plate's corners should be at a time, if it moved as it does now.

        Args:
            time: In seconds; one before its first read, too.
            steady: For how many seconds after it was last seen, or before its first read, it so moved.
        """
        if time < self.first.time:
            return np.asarray(
                self.first_corners + self._first_speed * max(time - self.first.time, -steady), np.float32
            )
        ahead = min(time - self.last.time, steady)
        return np.asarray(self.corners + self._speed * ahead, np.float32)

    def _begin_at(self, corners: Quad, moment: Moment) -> None:
        elapsed = self.first.time - moment.time
        self._first_speed = (self.first_corners.mean(axis=0) - corners.mean(axis=0)) / elapsed
        if self.reads < 2:
            self._speed = self._first_speed
        self.first, self.first_corners = moment, corners

    def _move(self, corners: Quad, moment: Moment) -> None:
        elapsed = moment.time - self.last.time
        if elapsed > 0:
            moved = (corners.mean(axis=0) - self.corners.mean(axis=0)) / elapsed
            self._speed = moved if self.reads < 2 else 0.5 * self._speed + 0.5 * moved
        self.corners = corners
        self.last = moment
