"""Tracks: the reads of many frames joined, and what is told of each vehicle and when."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from statistics import median

import numpy as np

from edge_lpr.geometry import bounding_box_iou, side_lengths
from edge_lpr.pipeline.ctc import class_labels
from edge_lpr.pipeline.events import Moment, PlateEvent, State, event_times
from edge_lpr.pipeline.fusion import FusedText, Fusion, text_similarity
from edge_lpr.pipeline.looks import Place
from edge_lpr.pipeline.settings import ReadSettings, TrackSettings
from edge_lpr.pipeline.track import Track
from edge_lpr.plates import PlateRead
from edge_lpr.types import Image, Quad

__all__ = ["PlateTracker"]

# Intervals between frames that say how often frames are read.
_INTERVALS = 9
# However seldom frames are read, a plate may be missed in the four between two that show it; and no clock is
# even.
_GAP_FRAMES = 5.5
# Seconds for which a vehicle goes on as it did; the next frame that is read may come later.
_STEADY = 0.5
# Texts less alike than this, sure on both sides, are of two vehicles; and once another one may have taken the
# place of the first, two that differ in two characters. Of 522 pairs of plates of one town the former tells
# 425 apart, the latter all; of 1607 pairs of sure reads of one blurred plate it takes 13 for two.
_ANOTHER, _ANOTHER_LATER = 0.5, 0.8
# As far, in widths of its plate (0.44 m), as a vehicle at 120 km/h moves from frame to frame of 25 a second;
# farther where frames are read less often.
_NEAR, _NEAR_INTERVAL = 3.0, 0.04


class PlateTracker:
    """Joins the reads of one vehicle, fuses them, and tells of it.

    Each frame's reads are matched to the open tracks, best match first: by the overlap with where the
    plate is expected (it moves steadily between frames), by a like text near there, or by the same text
    anywhere. A read whose text is wholly another, sure on both sides, starts a track of its own even at the
    same place: the next car. How long a plate may be missed, how far ahead its place is foretold and what is
    near follow the rate at which frames come here: every Nth of a video, or one in some seconds.

    Of each vehicle that is reported at all, exactly one event is "new" and exactly one is "end", in this
    order, with any number of "update" between them. No event is less sure than `min_score`: where reads come
    to deny each other, there is no update, and "end" says again what was told last, or, where nothing was,
    there is none.

    Args:
        charset: The recognizer's characters: what the columns of `PlateRead.log_probs` are.
        unknown_class: Whether the recognizer has one more class for all others.
        settings: How reads are joined; None for the defaults.
        identify: Makes the identifier of a track out of its number.
        min_score: What the lowest score of a plate's characters has to reach in an event, 0 to 1.
        candidates: How many other texts an event has, at most.
        source: What events call their source.

    Attributes:
        states: Which events are given: "new", "update", "end".
        fps: How many frames come a second, by what their source says; what they do is seen from the second
            one on. None where it says nothing.
        look_interval: Seconds between two looks at a plate, where that is longer than between two frames.
        known: Each read of the last frame as its vehicle is known with it: the text, kind and scores of all
            reads, or no text where they are not sure enough to be told.
        owners: The number of each read's track, of the last frame.
    """

    def __init__(
        self,
        charset: tuple[str, ...],
        unknown_class: bool = False,
        settings: TrackSettings | None = None,
        identify: Callable[[int], str] = str,
        min_score: float = ReadSettings.min_score,
        candidates: int = ReadSettings.candidates,
        source: str = "",
    ) -> None:
        self.settings = TrackSettings() if settings is None else settings
        self.states: frozenset[State] = frozenset({"end"})
        self.fps: float | None = None
        self.look_interval = 0.0
        self.known: list[PlateRead] = []
        self.owners: list[int] = []
        self._min_score = min_score
        self._candidates = candidates
        self._source = source
        self._identify = identify
        self._fusion = Fusion(class_labels(charset, unknown_class))
        self._open: list[Track] = []
        self._count = 0
        self._last: float | None = None
        self._intervals: deque[float] = deque(maxlen=_INTERVALS)

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
        if self._last is not None:
            self._intervals.append(time - self._last)
        self._last = time
        events = self._end_by(time)
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
        owners: dict[int, Track] = {}
        busy: set[int] = set()
        for _, i, j in pairs:
            if i not in busy and j not in owners:
                busy.add(i)
                owners[j] = self._open[i]
                owners[j].add(reads[j], moment, image)
        for j, read in enumerate(reads):
            if j not in owners:
                self._count += 1
                track_id = self._identify(self._count)
                owners[j] = Track(self._count, track_id, read, moment, image, self.settings.early_width)
                self._open.append(owners[j])
        self.known = [self._as_known(read, owners[j]) for j, read in enumerate(reads)]
        self.owners = [owners[j].number for j in range(len(reads))]
        return events + self._news(time)

    def places(self, time: float) -> list[Place]:
        """Returns where the plates of the open tracks are, at a time in seconds."""
        steady = max(_STEADY, self._interval)
        return [
            Place(
                track.number,
                track.corners,
                track.expected(time, steady),
                track.last.time,
                track.read_at,
                track.shown.time,
                track.reads,
                track.near_reads,
                (text := self._reportable(track)) is not None
                and text.min_score >= self.settings.min_confidence,
            )
            for track in self._open
        ]

    def keep(
        self,
        held: Collection[int],
        followed: Mapping[int, Quad],
        frame: int,
        time: float,
        wall: float | None = None,
    ) -> None:
        """Takes in that the plates of some tracks are still in view, though a frame was not read for them.

        Args:
            held: Numbers of the tracks whose plates are where they were.
            followed: Where others are now, float32 4×2, by the number of the track.
            frame: See `update`.
            time: See `update`.
            wall: See `update`.
        """
        moment = Moment(frame, time, wall)
        for track in self._open:
            if track.number in held:
                track.hold(moment)
            elif track.number in followed:
                track.follow(followed[track.number], moment)

    def recall(
        self,
        number: int,
        reads: Sequence[PlateRead],
        frame: int,
        time: float,
        image: Image | None = None,
        wall: float | None = None,
    ) -> PlateRead | None:
        """Takes in what a frame that has gone by shows at the place of one track.

        Where its text is sure, a later read of another text does not say that its plate can still be read.

        Args:
            number: The track.
            reads: What was read there; of those that are not its plate's nothing is kept.
            frame: See `update`.
            time: See `update`; before the first read of the track, or after the last one.
            image: See `update`.
            wall: See `update`.

        Returns:
            The one that is its plate's; None where none is.
        """
        for track in self._open:
            if track.number != number:
                continue
            if time > track.shown.time and (known := self._reportable(track)) is not None:
                sure = known.min_score >= self.settings.min_confidence
                reads = [read for read in reads if not sure or read.text == known.text]
            if reads:
                affinity, best = max((self._affinity(track, read, time), -j) for j, read in enumerate(reads))
                if affinity > 0:
                    track.add(reads[-best], Moment(frame, time, wall), image)
                    return reads[-best]
        return None

    def in_view(self, time: float, within: float) -> list[PlateRead]:
        """Returns the plates that were seen less than so many seconds ago: where they should be by now.

        Args:
            time: In seconds, as in `update`.
            within: Seconds.

        Returns:
            The best read of each as `known` has it, with the corners where the plate should be.
        """
        steady = max(_STEADY, self._interval)
        return [
            replace(self._as_known(track.best, track), corners=track.expected(time, steady))
            for track in self._open
            if time - track.last.time <= within
        ]

    def advance(self, time: float) -> list[PlateEvent]:
        """Takes in that it is so late, and that no frame up to then is still to come.

        Args:
            time: In seconds, as in `update`.

        Returns:
            As `update`: what is known by the clock alone.
        """
        return self._end_by(time) + self._news(time)

    def flush(self) -> list[PlateEvent]:
        """Ends all open tracks and returns their events."""
        return self._end(lambda _: True)

    @property
    def _interval(self) -> float:
        """Seconds from a look to the next, as far as is known: a pause is no rate."""
        if self._intervals:
            return max(median(self._intervals), self.look_interval)
        return max(1 / self.fps if self.fps else 0.0, self.look_interval)

    def _end_by(self, time: float) -> list[PlateEvent]:
        """Ends the tracks whose plates were not read for too long."""
        gap = max(self.settings.max_gap, _GAP_FRAMES * self._interval)
        return self._end(lambda track: time - track.last.time > gap)

    def _end(self, ended: Callable[[Track], bool]) -> list[PlateEvent]:
        events: list[PlateEvent] = []
        kept: list[Track] = []
        for track in self._open:
            if not ended(track):
                kept.append(track)
                continue
            text = self._reportable(track) or track.told
            if text is not None:
                if track.told is None:
                    events += self._tell(track, text, "new", track.shown.time)
                events += self._tell(track, text, "end", track.shown.time)
        self._open = kept
        return events

    def _news(self, time: float) -> list[PlateEvent]:
        """Tells of tracks whose first text is sure or has waited long enough, or whose text has changed."""
        if self.states <= {"end"}:
            return []
        events: list[PlateEvent] = []
        for track in self._open:
            text = self._reportable(track)
            if text is None:
                continue
            if track.known_since is None:
                track.known_since = time
            since = track.known_since if track.told is None else track.told_at
            due = time - since >= self.settings.max_delay
            if track.told is None:
                if due or self._is_near_and_sure(track, text):
                    events += self._tell(track, text, "new", time)
            elif due and text.text != track.told.text:
                events += self._tell(track, text, "update", time)
        return events

    def _is_near_and_sure(self, track: Track, text: FusedText) -> bool:
        # Of plates some 60 pixels wide the recognizer is surer than it should be: of vehicles that come from
        # far away, the first sure text is wrong of more than a quarter (`edge_lpr.benchmarks.early`).
        return track.near_reads > 0 and text.min_score >= self.settings.min_confidence

    def _reportable(self, track: Track) -> FusedText | None:
        """Returns what can be told of a track, or None; fused again only where it has more reads."""
        # Reads are counted, and not frames: however few of those are read, one unsure read is one.
        if track.reads < self.settings.min_reads and track.best.min_score < self.settings.min_confidence:
            return None
        if not track.is_fused:
            sure = self.settings.min_confidence
            track.known, track.is_fused = self._fusion.known(track.sums, self._min_score, sure), True
        return track.known

    def _as_known(self, read: PlateRead, track: Track) -> PlateRead:
        known = self._reportable(track)
        if known is None:
            return replace(read, text="")
        return replace(
            read,
            text=known.text,
            kind=known.kind,
            score=known.score,
            min_score=known.min_score,
            char_scores=known.char_scores,
        )

    def _tell(self, track: Track, text: FusedText, state: State, time: float) -> list[PlateEvent]:
        track.told, track.told_at = text, time
        if state not in self.states:
            return []
        others = self._candidates and self._fusion.candidates(track.sums, self._candidates, text.text)
        return [
            PlateEvent(
                text=text.text,
                kind=text.kind,
                score=text.score,
                min_score=text.min_score,
                char_scores=text.char_scores,
                reads=track.reads,
                track=track.number,
                corners=track.best.corners,
                crop=track.crop,
                state=state,
                id=track.id,
                source=self._source,
                candidates=others or (),
                first_corners=track.first_corners,
                last_corners=track.corners,
                **event_times(track.first, track.shown),
            )
        ]

    def _affinity(self, track: Track, read: PlateRead, time: float) -> float:
        similarity = text_similarity(track.best.text, read.text)
        expected = track.expected(time, max(_STEADY, self._interval))
        overlap = bounding_box_iou(expected, read.corners)
        another = _ANOTHER if time - track.last.time <= _STEADY else _ANOTHER_LATER
        sure = min(track.best.min_score, read.min_score) >= self.settings.min_confidence
        if sure and similarity < another:
            return 0.0
        width = float(side_lengths(expected)[0])
        reach = _NEAR * width * max(1.0, self._interval / _NEAR_INTERVAL)
        near = float(np.linalg.norm(expected.mean(axis=0) - read.corners.mean(axis=0))) < reach
        alike = similarity == 1 or (near and similarity >= self.settings.min_similarity)
        if overlap >= self.settings.min_iou or alike:
            return overlap + similarity + 1e-6
        return 0.0
