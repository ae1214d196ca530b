"""What an archive will take, by reading one percent of it here."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

from edge_lpr.archive.job import Job
from edge_lpr.archive.planning import Plan
from edge_lpr.archive.segment_source import SegmentSource
from edge_lpr.archive.storage import read_bytes
from edge_lpr.archive.units import SourceFile, Unit
from edge_lpr.errors import SourceError
from edge_lpr.io.image_io import decode_image
from edge_lpr.pipeline.reader import PlateReader
from edge_lpr.pipeline.stream import Stream

__all__ = ["Estimate", "estimate"]

T = TypeVar("T")
_SHARE = 100  # one in so many
_LEAST = 4  # pictures, and seconds of video: fewer say nothing


@dataclass(frozen=True)
class Estimate:
    """What was measured of a sample, and what follows for all.

    Attributes:
        pictures: Pictures in the sample.
        frames: Frames of videos in it.
        plates: Plates in both: reads of pictures, and events of videos.
        seconds: What all of the archive takes one reader like this one.
    """

    pictures: int
    frames: int
    plates: float
    seconds: float


def estimate(plan: Plan, job: Job, reader: PlateReader, limit: float = 120.0) -> Estimate:
    """Reads each hundredth picture, and the beginning of each hundredth segment, with one reader.

    Args:
        plan: What there is to read.
        job: How.
        reader: Reads it.
        limit: Seconds after which no more is read.

    Raises:
        BackendError: The backend failed.
    """
    files = [file for unit in plan.units if not unit.video for file in unit.files]
    segments = [unit for unit in plan.units if unit.video]
    until = time.monotonic() + limit
    pictures, picture_seconds, plates = _pictures(_sample(files), job, reader, until)
    frames, frame_seconds, events = _frames(segments, plan, job, reader, until + limit)
    seconds = picture_seconds / max(pictures, 1) * len(files) + frame_seconds / max(frames, 1) * plan.frames
    found = plates / max(pictures, 1) * len(files) + events / max(frames, 1) * plan.frames
    return Estimate(pictures, frames, found, seconds)


def _sample(items: list[T]) -> list[T]:
    step = max(1, min(_SHARE, len(items) // _LEAST))
    return items[step // 2 :: step]


def _pictures(files: list[SourceFile], job: Job, reader: PlateReader, until: float) -> tuple[int, float, int]:
    count, plates, began = 0, 0, time.monotonic()
    for file in files:
        if time.monotonic() > until:
            break
        count += 1
        try:
            plates += len(reader.read(decode_image(read_bytes(file.address), file.name, job.max_pixels)))
        except SourceError:
            continue
    return count, time.monotonic() - began, plates


def _frames(
    segments: list[Unit], plan: Plan, job: Job, reader: PlateReader, until: float
) -> tuple[int, float, int]:
    count, events, began = 0, 0, time.monotonic()
    chosen = _sample(segments)
    wanted = max(plan.frames // _SHARE // max(len(chosen), 1), 1)
    for unit in chosen:
        if time.monotonic() > until:
            break
        assert unit.segment is not None
        (file,) = unit.files
        try:
            with SegmentSource(file.address, file.name, unit.segment, job.capture, lambda _: None) as source:
                least = round(_LEAST * (source.fps or 25.0))
                stream = Stream(reader, source)
                steps = [*islice(stream, max(wanted, least) // job.stride + 1), stream.flush()]
        except SourceError:
            continue
        count += (len(steps) - 1) * job.stride
        events += sum(len(step.events) for step in steps)
    return count, time.monotonic() - began, events
