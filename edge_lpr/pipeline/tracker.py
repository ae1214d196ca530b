"""From the reads of many frames to one event per vehicle."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from difflib import SequenceMatcher

import numpy as np
from numpy.typing import NDArray

from edge_lpr.geometry import bounding_box_iou, crop_quad, side_lengths
from edge_lpr.pipeline.ctc import UNKNOWN, class_labels
from edge_lpr.pipeline.settings import TrackSettings
from edge_lpr.plates import PlateFormat, PlateRead, plate_formats
from edge_lpr.plates.characters import HOMOGLYPHS
from edge_lpr.plates.read import TEXT

LogProbs = NDArray[np.float32]

# No single frame may rule a character out: its log-probability counts for no less than this.
_LOG_PROB_FLOOR = math.log(1e-3)
# Frames of one track resemble each other: however many, they are worth no more than this many independent
# looks at the plate.
_INDEPENDENT_LOOKS = 3.0
# A plate this high, in pixels, holds all the detail that the recognizer sees (its input is 48 high).
_FULL_DETAIL = 32.0


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
    corners: NDArray[np.float32]
    crop: NDArray[np.uint8] | None = field(repr=False)


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
        self, reads: list[PlateRead], frame: int, time: float, image: NDArray[np.uint8] | None = None
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
        near = float(np.linalg.norm(expected.mean(axis=0) - read.corners.mean(axis=0))) < 3 * _width(expected)
        if overlap >= self.settings.min_iou or (near and similarity >= self.settings.min_similarity):
            return overlap + similarity + 1e-6
        return 0.0

    def _event(self, track: _Track) -> PlateEvent | None:
        if track.reads < self.settings.min_reads and track.best.min_score < self.settings.min_confidence:
            return None
        text, scores, kind = self._fusion.fuse(track)
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


class Fusion:
    """Adds up the log_probs of many reads and finds the best text in the sum.

    Args:
        labels: The text of each class.
    """

    def __init__(self, labels: tuple[str, ...]) -> None:
        self._labels = labels
        index = {label: i for i, label in enumerate(labels)}
        self._homoglyphs = [(index[a], index[b]) for a, b in HOMOGLYPHS if a in index and b in index]
        self._plain = [i for i, label in enumerate(labels) if label and label != UNKNOWN]

    def fuse(self, track: _Track) -> tuple[str, tuple[float, ...], str]:
        """Fuses a track's reads.

        The sums of reads of one length stand position by position. The length with the most weight leads;
        sums of other lengths (a character lost at the border, or one too many) are aligned to it and add
        what they hold at the aligned positions.

        Returns:
            The text, each character's score, and the kind.
        """
        lead = max(track.sums, key=lambda length: track.sums[length].weight)
        total = track.sums[lead].log_probs.copy()
        weights = np.full(lead, track.sums[lead].weight)
        for length, other in track.sums.items():
            if length == lead:
                continue
            mean = track.sums[lead].mean()
            for at_lead, at_other in align(mean, other.mean()):
                total[at_lead] += other.log_probs[at_other]
                weights[at_lead] += other.weight
        looks = np.clip(weights, 1.0, _INDEPENDENT_LOOKS)
        mean = total * (looks / weights)[:, None]
        mean -= np.logaddexp.reduce(mean, axis=1, keepdims=True)
        is_text = set(track.kinds) == {TEXT}
        for first, second in [] if is_text else self._homoglyphs:
            # One glyph, two characters: the position decides, so both have the probability of the glyph.
            mean[:, first] = mean[:, second] = np.logaddexp(mean[:, first], mean[:, second])
        plate, classes = self._best(mean, is_text)
        scores = tuple(float(np.exp(mean[i, c])) for i, c in enumerate(classes))
        kinds = track.kinds
        if plate is not None:
            kinds = {kind: weight for kind, weight in kinds.items() if kind in plate.kinds}
        kind = max(kinds, key=lambda k: kinds[k]) if kinds else next(iter(plate.kinds)) if plate else TEXT
        return "".join(self._labels[c] for c in classes), scores, kind

    def _best(self, mean: LogProbs, is_text: bool) -> tuple[PlateFormat | None, list[int]]:
        """Returns the format whose best string has the most log_probs, and that string's classes."""
        best: tuple[float, PlateFormat | None, list[int]] | None = None
        for plate in () if is_text else plate_formats():
            if len(plate.positions) != len(mean):
                continue
            classes = []
            for row, allowed in zip(mean, plate.positions, strict=True):
                columns = [i for i in self._plain if self._labels[i] in allowed]
                if not columns:
                    break
                classes.append(max(columns, key=lambda i, row=row: row[i]))  # type: ignore[misc]
            else:
                likelihood = float(sum(mean[i, c] for i, c in enumerate(classes)))
                if best is None or likelihood > best[0]:
                    best = likelihood, plate, classes
        if best is None:
            return None, [int(c) for c in mean.argmax(axis=1)]
        return best[1], best[2]


def align(first: LogProbs, second: LogProbs) -> list[tuple[int, int]]:
    """Aligns two sequences of character distributions (Needleman and Wunsch, with no cost for a gap).

    Args:
        first: float32 L×C natural log-probabilities.
        second: float32 M×C likewise.

    Returns:
        Pairs of positions that show the same character, ascending. Two positions are worth the probability
        that both show one character.
    """
    same = np.exp(first) @ np.exp(second).T
    table = np.zeros((len(first) + 1, len(second) + 1))
    for i in range(len(first)):
        for j in range(len(second)):
            table[i + 1, j + 1] = max(table[i, j] + same[i, j], table[i, j + 1], table[i + 1, j])
    pairs = []
    i, j = len(first), len(second)
    while i and j:
        if table[i, j] == table[i - 1, j]:
            i -= 1
        elif table[i, j] == table[i, j - 1]:
            j -= 1
        else:
            i, j = i - 1, j - 1
            pairs.append((i, j))
    return pairs[::-1]


def text_similarity(first: str, second: str) -> float:
    """Returns how alike two texts are, 0 to 1: the share of characters that match in order."""
    return SequenceMatcher(None, first, second, autojunk=False).ratio()


@dataclass
class _Sum:
    """Weighted sum of the log_probs of reads of one length: what stays small however long a car is parked."""

    log_probs: LogProbs
    weight: float

    def mean(self) -> LogProbs:
        return np.asarray(self.log_probs / self.weight, np.float32)


class _Track:
    """One vehicle in view."""

    def __init__(
        self, number: int, read: PlateRead, frame: int, time: float, image: NDArray[np.uint8] | None
    ) -> None:
        self.number = number
        self.reads = 0
        self.first_frame = frame
        self.first_seen = time
        self.last_seen = time
        self.sums: dict[int, _Sum] = {}
        self.kinds: dict[str, float] = {}
        self.best = read
        self.crop: NDArray[np.uint8] | None = None
        self._best_weight = -1.0
        self._corners = read.corners
        self._speed = np.zeros(2)  # pixels per second
        self.add(read, frame, time, image)

    def add(self, read: PlateRead, frame: int, time: float, image: NDArray[np.uint8] | None) -> None:
        """Adds one read."""
        elapsed = time - self.last_seen
        if elapsed > 0:
            moved = (read.corners.mean(axis=0) - self._corners.mean(axis=0)) / elapsed
            self._speed = moved if self.reads < 2 else 0.5 * self._speed + 0.5 * moved
        self._corners = read.corners
        self.last_frame, self.last_seen = frame, time
        self.reads += 1
        weight = read_weight(read)
        kept = np.maximum(read.log_probs, np.float32(_LOG_PROB_FLOOR)) * np.float32(weight)
        if (known := self.sums.get(len(read.text))) is None:
            self.sums[len(read.text)] = _Sum(kept, weight)
        else:
            known.log_probs += kept
            known.weight += weight
        self.kinds[read.kind] = self.kinds.get(read.kind, 0.0) + weight
        if weight > self._best_weight:
            self._best_weight = weight
            self.best = read
            self.crop = None if image is None else crop_quad(image, read.corners)

    def expected(self, time: float) -> NDArray[np.float32]:
        """Returns where the plate's corners should be by now."""
        # What was steady for a moment need not be for long: at most half a second is foretold.
        ahead = min(time - self.last_seen, 0.5)
        return np.asarray(self._corners + self._speed * ahead, np.float32)


def read_weight(read: PlateRead) -> float:
    """Returns the weight of a read in the fusion: how sure it is times how much detail it had, above 0."""
    detail = min(1.0, float(side_lengths(read.corners).min()) / _FULL_DETAIL)
    return max(read.score * read.min_score * detail, 1e-3)


def _width(corners: NDArray[np.float32]) -> float:
    return float(np.linalg.norm(corners[1] - corners[0]))
