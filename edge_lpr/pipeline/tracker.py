"""Tracks: the reads of many frames joined, and what is told of each vehicle and when."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edge_lpr.geometry import bounding_box_iou, crop_quad, side_lengths
from edge_lpr.pipeline.ctc import class_labels
from edge_lpr.pipeline.events import Moment, PlateEvent, State, event_times
from edge_lpr.pipeline.fusion import Fusion, ReadSums, read_weight, text_similarity
from edge_lpr.pipeline.settings import TrackSettings
from edge_lpr.plates import PlateRead
from edge_lpr.types import Image, Quad

__all__ = ["PlateTracker"]


class PlateTracker:
    """Joins the reads of one vehicle, fuses them, and tells of it.

    Each frame's reads are matched to the open tracks, best match first: by the overlap with where the
    plate is expected (it moves steadily between frames), or by a like text near there. A read whose text is
    wholly another, sure on both sides, starts a track of its own even at the same place: the next car.

    Of each vehicle that is reported at all, exactly one event is "new" and exactly one is "end", in this
    order, with any number of "update" between them.

    Args:
        charset: The recognizer's characters: what the columns of `PlateRead.log_probs` are.
        unknown_class: Whether the recognizer has one more class for all others.
        settings: How reads are joined; None for the defaults.
        identify: Makes the identifier of a track out of its number.

    Attributes:
        states: Which events are given: "new", "update", "end".
    """

    def __init__(
        self,
        charset: tuple[str, ...],
        unknown_class: bool = False,
        settings: TrackSettings | None = None,
        identify: Callable[[int], str] = str,
    ) -> None:
        self.settings = TrackSettings() if settings is None else settings
        self.states: frozenset[State] = frozenset({"end"})
        self._identify = identify
        self._fusion = Fusion(class_labels(charset, unknown_class))
        self._open: list[_Track] = []
        self._count = 0

    def update(
        self,
        reads: list[PlateRead],
        frame: int,
        time: float,
        image: Image | None = None,
        wall: float | None = None,
    ) -> list[PlateEvent]:
        """Takes one frame's reads.

        Args:
            reads: What `PlateReader.read` gave for the frame.
            frame: The frame's index.
            time: When it was taken, in seconds; never less than the frame before.
            image: The frame, uint8 H×W×3 BGR, for the event's crop; or None.
            wall: When it was taken, in seconds since the epoch; None where nobody knows.

        Returns:
            What is known by now: the tracks that have ended, and those that are new or have another text.
        """
        events = self._end(lambda track: time - track.last.time > self.settings.max_gap)
        moment = Moment(frame, time, wall)
        pairs = sorted(
            (
                (affinity, i, j)
                for i, track in enumerate(self._open)
                for j, read in enumerate(reads)
                if (affinity := self._affinity(track, read, time)) > 0
            ),
            reverse=True,
        )
        taken: set[int] = set()
        busy: set[int] = set()
        for _, i, j in pairs:
            if i not in busy and j not in taken:
                busy.add(i)
                taken.add(j)
                self._open[i].add(reads[j], moment, image)
        for j, read in enumerate(reads):
            if j not in taken:
                self._count += 1
                self._open.append(_Track(self._count, self._identify(self._count), read, moment, image))
        return events + self._news(time)

    def advance(self, time: float) -> list[PlateEvent]:
        """Takes in that it is so late, and that no frame up to then is still to come.

        Args:
            time: In seconds, as in `update`.

        Returns:
            As `update`: what is known by the clock alone.
        """
        return self._end(lambda track: time - track.last.time > self.settings.max_gap) + self._news(time)

    def flush(self) -> list[PlateEvent]:
        """Ends all open tracks and returns their events."""
        return self._end(lambda _: True)

    def _end(self, ended: Callable[[_Track], bool]) -> list[PlateEvent]:
        events: list[PlateEvent] = []
        kept: list[_Track] = []
        for track in self._open:
            if not ended(track):
                kept.append(track)
            elif self._is_reportable(track):
                if track.told is None:
                    events += self._tell(track, "new", track.last.time)
                events += self._tell(track, "end", track.last.time)
        self._open = kept
        return events

    def _news(self, time: float) -> list[PlateEvent]:
        """Tells of tracks whose first text is sure or has waited long enough, or whose text has changed."""
        if self.states <= {"end"}:
            return []
        events: list[PlateEvent] = []
        for track in self._open:
            if track.known_since is None and self._is_reportable(track):
                track.known_since = time
            if track.known_since is None:
                continue
            since = track.known_since if track.told is None else track.told_at
            due = time - since >= self.settings.max_delay
            if track.told is None:
                if due or self._is_sure(track):
                    events += self._tell(track, "new", time)
            elif due and self._fuse(track)[0] != track.told:
                events += self._tell(track, "update", time)
        return events

    def _is_reportable(self, track: _Track) -> bool:
        return track.reads >= self.settings.min_reads or track.best.min_score >= self.settings.min_confidence

    def _is_sure(self, track: _Track) -> bool:
        return min(self._fuse(track)[1]) >= self.settings.min_confidence

    def _fuse(self, track: _Track) -> tuple[str, tuple[float, ...], str]:
        """Fuses what a track has by now; a second time only where it has more."""
        if track.fused is None:
            track.fused = self._fusion.fuse(track.sums)
        return track.fused

    def _tell(self, track: _Track, state: State, time: float) -> list[PlateEvent]:
        text, scores, kind = self._fuse(track)
        track.told, track.told_at = text, time
        if state not in self.states:
            return []
        return [
            PlateEvent(
                text=text,
                kind=kind,
                score=float(np.mean(scores)),
                min_score=min(scores),
                char_scores=scores,
                reads=track.reads,
                track=track.number,
                corners=track.best.corners,
                crop=track.crop,
                state=state,
                id=track.id,
                **event_times(track.first, track.last),
            )
        ]

    def _affinity(self, track: _Track, read: PlateRead, time: float) -> float:
        similarity = text_similarity(track.best.text, read.text)
        expected = track.expected(time)
        overlap = bounding_box_iou(expected, read.corners)
        if similarity < 1 / 2 and min(track.best.min_score, read.min_score) >= self.settings.min_confidence:
            return 0.0
        width = float(side_lengths(expected)[0])
        near = float(np.linalg.norm(expected.mean(axis=0) - read.corners.mean(axis=0))) < 3 * width
        if overlap >= self.settings.min_iou or (near and similarity >= self.settings.min_similarity):
            return overlap + similarity + 1e-6
        return 0.0


class _Track:
    """One vehicle in view."""

    def __init__(self, number: int, id: str, read: PlateRead, moment: Moment, image: Image | None) -> None:  # noqa: A002
        self.number = number
        self.id = id
        self.reads = 0
        self.first = moment
        self.last = moment
        self.sums = ReadSums()
        self.fused: tuple[str, tuple[float, ...], str] | None = None
        self.known_since: float | None = None  # since when it may be reported, in seconds
        self.told: str | None = None  # the text that was told last
        self.told_at = 0.0
        self.best = read
        self.crop: Image | None = None
        self._best_weight = -1.0
        self._corners = read.corners
        self._speed = np.zeros(2)  # pixels per second
        self.add(read, moment, image)

    def add(self, read: PlateRead, moment: Moment, image: Image | None) -> None:
        """Adds one read."""
        elapsed = moment.time - self.last.time
        if elapsed > 0:
            moved = (read.corners.mean(axis=0) - self._corners.mean(axis=0)) / elapsed
            self._speed = moved if self.reads < 2 else 0.5 * self._speed + 0.5 * moved
        self._corners = read.corners
        self.last = moment
        self.reads += 1
        weight = read_weight(read)
        self.sums.add(read, weight)
        self.fused = None
        if weight > self._best_weight:
            self._best_weight = weight
            self.best = read
            self.crop = None if image is None else crop_quad(image, read.corners)

    def expected(self, time: float) -> Quad:
        """Returns where the plate's corners should be by now."""
        # What was steady for a moment need not be for long: at most half a second is foretold.
        ahead = min(time - self.last.time, 0.5)
        return np.asarray(self._corners + self._speed * ahead, np.float32)
