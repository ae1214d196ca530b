"""Results: what a line, a row or a message stands for, and the fields that it has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edge_lpr.io.frames import Frame, Source
from edge_lpr.pipeline.events import PlateEvent
from edge_lpr.pipeline.stream import FrameResult
from edge_lpr.pipeline.wall_clock import iso, utc
from edge_lpr.plates import PlateRead
from edge_lpr.plates.read import rounded

__all__ = ["FIELDS", "VERSION", "Result", "results", "to_record", "utc_stamp"]

VERSION = 1
"""Version of the format of records; see `FIELDS`."""
FIELDS: tuple[tuple[str, str, str], ...] = (
    ("version", "integer", "version of this format; grows when the meaning of a field changes"),
    ("type", "text", '"event": one vehicle\'s track; "read": one plate in one image or frame'),
    (
        "source",
        "text",
        "the image's or video's path; of a camera its name, else its address without secrets",
    ),
    ("text", "text", "the plate, without the dot"),
    (
        "kind",
        "text",
        'the kind of plate (blue, green, …); "unknown" where colour alone would tell; "text" for no plate',
    ),
    ("score", "0…1", "mean of char_scores"),
    ("min_score", "0…1", "the lowest of char_scores"),
    ("char_scores", "list of 0…1", "probability of each character (CSV: separated by blanks)"),
    ("reads", "integer", "frames whose reads were fused; 1 in a read"),
    ("track", "integer or null", "number of the track within its source; null in a read"),
    (
        "first_frame",
        "integer",
        "index of the first frame (or image) in the source, from 0",
    ),
    ("last_frame", "integer", "index of the last frame"),
    ("first_seen", "seconds or null", "when it was first read, from the source's start; null in images"),
    ("last_seen", "seconds or null", "when it was last read"),
    ("first_utc", "text or null", "first_seen as time of day, ISO 8601 UTC; cameras and streams alone"),
    ("last_utc", "text or null", "last_seen as time of day"),
    ("corners", "4 × [x, y]", "tl, tr, br, bl of the (best) read, in source pixels (CSV: x1, y1, … x4, y4)"),
    ("crop", "text or null", "the plate's image in the folder of --crops"),
    ("state", "text or null", '"new": first told of; "update": another text; "end": gone; null in a read'),
    ("id", "text or null", "the same in all events of one vehicle, and in no other's; null in a read"),
    ("clock_step", "seconds or null", "by how much the clock was set while it was in view; null: not set"),
    (
        "candidates",
        "list of {text, score}",
        "other texts and the probability of each, with --candidates (CSV: 京A12345:0.21 …)",
    ),
)
"""Name, type and meaning of each field of a JSON line, in order; CSV has the same columns."""


@dataclass(eq=False)
class Result:
    """A track, or one read where nothing is tracked.

    Attributes:
        source: Where it was seen.
        frame: The frame of a read; None for a track.
        item: The read or event.
        name: What to call the source: the image's path, or the source's label.
        crop: The name of the plate's image in the folder of crops; None until `CropOutput` wrote it.
    """

    source: Source
    frame: Frame | None
    item: PlateRead | PlateEvent
    name: str
    crop: str | None = None


def results(frame_result: FrameResult) -> list[Result]:
    """Returns the results of one frame: the events of what is tracked, the reads of what is not."""
    source, frame = frame_result.source, frame_result.frame
    if frame_result.tracked:
        return [Result(source, None, event, source.label) for event in frame_result.events]
    if frame is None:
        return []
    return [Result(source, frame, read, frame.name) for read in frame_result.reads]


def to_record(result: Result) -> dict[str, Any]:
    """Makes the JSON object of one result: the keys of `FIELDS` in their order, no NaN, no numpy types."""
    item, frame = result.item, result.frame
    known = item.to_dict() | {
        "version": VERSION,
        "type": "event" if isinstance(item, PlateEvent) else "read",
        "source": result.name,
        "crop": result.crop,
    }
    if not isinstance(item, PlateEvent):
        index, seen = (frame.index, rounded(frame.time, 3)) if frame else (0, None)
        moment = None if frame is None or frame.wall is None else iso(utc(frame.wall))
        known |= {"reads": 1, "first_frame": index, "last_frame": index}
        known |= {"first_seen": seen, "last_seen": seen, "first_utc": moment, "last_utc": moment}
    return {name: known.get(name) for name, _, _ in FIELDS}


def utc_stamp(started: float) -> str:
    """Writes a moment, in seconds since the epoch, for the name of a file: "20261122T181502Z"."""
    return utc(started).strftime("%Y%m%dT%H%M%SZ")
