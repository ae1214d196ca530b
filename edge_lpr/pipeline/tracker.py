"""Tracks: the reads of many frames joined to one event per vehicle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from edge_lpr.geometry import bounding_box_iou, crop_quad, side_lengths
from edge_lpr.pipeline.ctc import class_labels
from edge_lpr.pipeline.fusion import Fusion, ReadSums, read_weight, text_similarity
from edge_lpr.pipeline.settings import TrackSettings
from edge_lpr.plates import PlateRead
from edge_lpr.types import Image, Quad

__all__ = ["PlateEvent", "PlateTracker"]


@dataclass(frozen=True, eq=False)
class PlateEvent:
    """One vehicle's track, fused over the frames that showed its plate.

    Attributes:
        text: The plate's characters.
        kind: The kind of plate, as in `PlateRead`.
        score: Mean of `char_scores`.
        min_score: Lowest of `char_scores`.
        char_scores: Probability of each character, 0 to 1, given the reads as up to three independent looks.
        reads: Number of reads fused.
        first_seen: When it was first read, in seconds from the source's start (of the clock, if live).
        last_seen: When it was last read, likewise.
        first_frame: Index of the first frame, from 0.
        last_frame: Index of the last frame.
        track: Number of the track within the source, from 1.
        corners: float32 4×2 corners of the best read, in source pixels.
        crop: uint8 h×w×3 BGR image of the best read; None where frames were not handed in.
    """

    text: str
    kind: str
    score: float
    min_score: float
    char_scores: tuple[float, ...]
    reads: int
    first_seen: float
    last_seen: float
    first_frame: int
    last_frame: int
    track: int
    corners: Quad
    crop: Image | None = field(repr=False)


class PlateTracker:
    """Joins the reads of one vehicle and fuses them.

    Each frame's reads are matched to the open tracks, best match first: by the overlap with where the
    plate is expected (it moves steadily between frames), or by a like text near there. A read whose text is
    wholly another, sure on both sides, starts a track of its own even at the same place: the next car.

    Args:
        charset: The recognizer's characters: what the columns of `PlateRead.log_probs` are.
        unknown_class: Whether the recognizer has one more class for all others.
        settings: How reads are joined; None for the defaults.
    """

    def __init__(
        self, charset: tuple[str, ...], unknown_class: bool = False, settings: TrackSettings | None = None
    ) -> None:
        self.settings = TrackSettings() if settings is None else settings
        self._fusion = Fusion(class_labels(charset, unknown_class))
        self._open: list[_Track] = []
        self._count = 0

    def update(
        self, reads: list[PlateRead], frame: int, time: float, image: Image | None = None
    ) -> list[PlateEvent]:
        """Takes one frame's reads.

        Args:
            reads: What `PlateReader.read` gave for the frame.
            frame: The frame's index.
            time: When it was taken, in seconds; never less than the frame before.
            image: The frame, uint8 H×W×3 BGR, for the event's crop; or None.

        Returns:
            The tracks that have ended by now.
        """
        events = self._end(lambda track: time - track.last_seen > self.settings.max_gap)
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
                self._open[i].add(reads[j], frame, time, image)
        for j, read in enumerate(reads):
            if j not in taken:
                self._count += 1
                self._open.append(_Track(self._count, read, frame, time, image))
        return events

    def flush(self) -> list[PlateEvent]:
        """Ends all open tracks and returns them."""
        return self._end(lambda _: True)

    def _end(self, ended: Callable[[_Track], bool]) -> list[PlateEvent]:
        events = [self._event(track) for track in self._open if ended(track)]
        self._open = [track for track in self._open if not ended(track)]
        return [event for event in events if event is not None]

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

    def _event(self, track: _Track) -> PlateEvent | None:
        if track.reads < self.settings.min_reads and track.best.min_score < self.settings.min_confidence:
            return None
        text, scores, kind = self._fusion.fuse(track.sums)
        return PlateEvent(
            text=text,
            kind=kind,
            score=float(np.mean(scores)),
            min_score=min(scores),
            char_scores=scores,
            reads=track.reads,
            first_seen=track.first_seen,
            last_seen=track.last_seen,
            first_frame=track.first_frame,
            last_frame=track.last_frame,
            track=track.number,
            corners=track.best.corners,
            crop=track.crop,
        )


class _Track:
    """One vehicle in view."""

    def __init__(self, number: int, read: PlateRead, frame: int, time: float, image: Image | None) -> None:
        self.number = number
        self.reads = 0
        self.first_frame = frame
        self.first_seen = time
        self.last_seen = time
        self.sums = ReadSums()
        self.best = read
        self.crop: Image | None = None
        self._best_weight = -1.0
        self._corners = read.corners
        self._speed = np.zeros(2)  # pixels per second
        self.add(read, frame, time, image)

    def add(self, read: PlateRead, frame: int, time: float, image: Image | None) -> None:
        """Adds one read."""
        elapsed = time - self.last_seen
        if elapsed > 0:
            moved = (read.corners.mean(axis=0) - self._corners.mean(axis=0)) / elapsed
            self._speed = moved if self.reads < 2 else 0.5 * self._speed + 0.5 * moved
        self._corners = read.corners
        self.last_frame, self.last_seen = frame, time
        self.reads += 1
        weight = read_weight(read)
        self.sums.add(read, weight)
        if weight > self._best_weight:
            self._best_weight = weight
            self.best = read
            self.crop = None if image is None else crop_quad(image, read.corners)

    def expected(self, time: float) -> Quad:
        """Returns where the plate's corners should be by now."""
        # What was steady for a moment need not be for long: at most half a second is foretold.
        ahead = min(time - self.last_seen, 0.5)
        return np.asarray(self._corners + self._speed * ahead, np.float32)
