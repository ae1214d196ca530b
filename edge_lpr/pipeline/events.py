"""What is told of a vehicle: the event, its state, and its times."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from edge_lpr.errors import SettingError
from edge_lpr.pipeline.wall_clock import is_step, iso, utc
from edge_lpr.plates.read import Candidate, rounded, rounded_corners
from edge_lpr.types import Image, Quad

__all__ = ["REPORTS", "Moment", "PlateEvent", "Report", "State", "event_id", "event_times", "states_of"]

State = Literal["new", "update", "end"]
"""A vehicle was first told of, its text has changed, or its passage is over."""
Report = Literal["end", "new", "all"]
"""Which events are given: one a vehicle once its passage is over, one as soon as it is known, or all."""
REPORTS: dict[Report, frozenset[State]] = {
    "end": frozenset({"end"}),
    "new": frozenset({"new"}),
    "all": frozenset({"new", "update", "end"}),
}


@dataclass(frozen=True, eq=False)
class PlateEvent:
    """One vehicle's track, fused over the frames that showed its plate up to now.

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
        state: "new" where the vehicle is told of for the first time, "update" where its text has changed,
            "end" where its passage is over.
        id: The same in all events of one vehicle, and in those of no other one.
        first_utc: `first_seen` as time of day, by what the clock says at `last_utc`; None for files.
        last_utc: `last_seen` as time of day; None for files.
        clock_step: By how many seconds the clock was set forward (or back, below 0) between the first and the
            last frame; None where it was not.
        source: What its source is called: a path, a camera's name, or an address without its secrets.
        candidates: Other texts, the most probable first, at most as many as the setting `candidates` asks for
            (none by default).
        first_corners: float32 4×2 corners where it was first read, in source pixels; with `last_corners` the
            way that it has gone. None where nothing is tracked.
        last_corners: Where it was seen last.
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
    state: State = "end"
    id: str = ""
    first_utc: datetime | None = None
    last_utc: datetime | None = None
    clock_step: float | None = None
    source: str = ""
    candidates: tuple[Candidate, ...] = ()
    first_corners: Quad | None = field(default=None, repr=False)
    last_corners: Quad | None = field(default=None, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Returns what JSON lines have of it (`edge_lpr.outputs.records.FIELDS`), as plain Python values."""
        return {
            "source": self.source,
            "text": self.text,
            "kind": self.kind,
            "score": rounded(self.score, 4),
            "min_score": rounded(self.min_score, 4),
            "char_scores": [rounded(score, 4) for score in self.char_scores],
            "reads": self.reads,
            "track": self.track,
            "first_frame": self.first_frame,
            "last_frame": self.last_frame,
            "first_seen": rounded(self.first_seen, 3),
            "last_seen": rounded(self.last_seen, 3),
            "first_utc": self.first_utc and iso(self.first_utc),
            "last_utc": self.last_utc and iso(self.last_utc),
            "corners": rounded_corners(self.corners),
            "state": self.state,
            "id": self.id,
            "clock_step": rounded(self.clock_step, 1),
            "candidates": [candidate.to_dict() for candidate in self.candidates],
        }


@dataclass(frozen=True)
class Moment:
    """When a frame was taken.

    Attributes:
        frame: Its index, from 0.
        time: Seconds from the source's start, by a clock that is never set.
        wall: Seconds since the epoch, by the clock on the wall; None where nobody knows.
    """

    frame: int
    time: float
    wall: float | None = None


def event_times(first: Moment, last: Moment) -> dict[str, Any]:
    """Returns the fields of a `PlateEvent` that tell its times.

    A machine without a battery for its clock begins in the past, and is set when the network comes: what the
    clock said last is the best that is known of the time before, too.
    """
    times: dict[str, Any] = {
        "first_seen": first.time,
        "last_seen": last.time,
        "first_frame": first.frame,
        "last_frame": last.frame,
    }
    if first.wall is not None and last.wall is not None:
        seconds = last.time - first.time
        step = last.wall - first.wall - seconds
        times["first_utc"], times["last_utc"] = utc(last.wall - seconds), utc(last.wall)
        times["clock_step"] = step if is_step(step, seconds) else None
    return times


def event_id(source: str, started: float | None, number: int) -> str:
    """Returns the identifier of a track: the same each time that a file is read, another in each live run.

    Args:
        source: What the source is called.
        started: When a live source was first reached, in seconds since the epoch; None for a file.
        number: The track's number within the source.
    """
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"edge-lpr:{source}#{started}#{number}"))


def states_of(report: str | None, live: bool) -> frozenset[State]:
    """Returns the states of the events that are given.

    Args:
        report: "end", "new" or "all"; None is "all" for a live source and "end" for any other.
        live: Whether the source is live.

    Raises:
        SettingError: There is no such report.
    """
    for name, states in REPORTS.items():
        if name == (report or ("all" if live else "end")):
            return states
    raise SettingError(f"events {report!r}: expected {', '.join(REPORTS)}")
