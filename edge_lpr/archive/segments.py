"""A segment of a video: what each of its frames shows, for the tracker that goes over the whole video.

Which reads are of one vehicle is decided once, over all frames in their order (`passages`): a vehicle that
crosses a cut is no special case. A segment has a tracker of its own only where a gate asks it what of a frame
has to be looked at; and of plates that are in view unread it is kept which track they were.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edge_lpr.archive.attempts import Attempt
from edge_lpr.archive.fetching import tried
from edge_lpr.archive.pictures import png
from edge_lpr.archive.segment_source import SegmentSource
from edge_lpr.archive.units import Failure, Unit
from edge_lpr.errors import SourceError
from edge_lpr.geometry import crop_quad
from edge_lpr.io.capture_options import CaptureOptions
from edge_lpr.io.frames import Frame, Source
from edge_lpr.pipeline.look_back import Done
from edge_lpr.pipeline.looks import Seen
from edge_lpr.pipeline.reader import PlateReader
from edge_lpr.pipeline.stream import FrameResult, Stream
from edge_lpr.plates import PlateRead

__all__ = ["RecordedStream", "read_segment"]

Frames = list[dict[str, Any]]


def read_segment(
    unit: Unit,
    reader: PlateReader,
    attempt: Attempt,
    *,
    options: CaptureOptions,
    retries: int,
    crops: bool,
    threads: int,
) -> tuple[Frames, dict[str, Any], list[Failure]]:
    """Reads a segment.

    Args:
        unit: The segment.
        reader: Reads its frames.
        attempt: Knows whether readers died of it.
        options: See `CaptureOptions`.
        retries: How often it is begun again where storage fails.
        crops: Whether reads have the plates' images.
        threads: How many FFmpeg decodes with.

    Returns:
        Its frames, as `edge_lpr.archive.schema.reads_schema` has them, their indices counted from the
        segment's first; what is to be known of them; and what of it could not be read.

    Raises:
        BackendError: The backend failed.
    """
    (file,) = unit.files
    told: dict[str, Any] = {"received": unit.frames, "fps": None, "look_interval": 0.0}
    if not attempt.may_try(0):
        reason = f"{unit.label}: the reader died as it was read, {attempt.deaths(0)} times"
        return [], told, [Failure(file.name, reason, unit.parts > 1, unit.id, lost=True)]
    warnings: list[str] = []

    def read() -> Frames:
        warnings.clear()
        assert unit.segment is not None
        with SegmentSource(
            file.address, file.name, unit.segment, options, warnings.append, threads
        ) as source:
            stream = RecordedStream(reader, source, unit, crops)
            for _ in stream:
                pass
            told.update(received=source.received, fps=source.fps, look_interval=stream.look_interval)
            return stream.frames

    try:
        frames = tried(read, retries)
    except SourceError as e:
        return [], told, [Failure(file.name, str(e), unit.parts > 1, unit.id, lost=True)]
    return frames, told, [Failure(file.name, line, partly=True, unit=unit.id) for line in warnings]


class RecordedStream(Stream):
    """A stream over a segment that keeps what each frame shows."""

    def __init__(self, reader: PlateReader, source: Source, unit: Unit, crops: bool) -> None:
        super().__init__(reader, source)
        self.frames: Frames = []
        self._crops = crops
        assert unit.segment is not None
        self._first = unit.segment.first
        self._next_rescan = -math.inf if unit.segment.rescan is None else unit.segment.rescan

    @property
    def look_interval(self) -> float:
        """Seconds between two looks at a plate; 0 where all of each frame is looked at."""
        return 0.0 if self._gate is None else self._gate.interval

    def step(self, frame: Frame, seen: Seen) -> FrameResult:
        """See `Stream.step`."""
        kept: list[dict[str, Any]] = [{"track": number, "corners": None} for number in sorted(seen.look.held)]
        kept += [{"track": number, "corners": corners.ravel()} for number, corners in seen.followed.items()]
        place = frame.index - self._first
        row: dict[str, Any] = {"frame": place, "time": frame.time or 0.0, "reads": [], "kept": kept}
        self.frames.append(row)  # before the step, which may look back at this very frame
        result = super().step(frame, seen)
        assert self.tracker is not None
        reads = [
            _read_row(read, track, frame if self._crops else None)
            for read, track in zip(seen.reads, self.tracker.owners, strict=True)
        ]
        row["reads"] = [*reads, *row["reads"]]
        return result

    def looked_back(self, done: Done) -> None:
        """See `Stream.looked_back`: what was read afterwards is what the frame shows."""
        rows = {row["frame"]: row for row in self.frames} if done.found else {}
        for frame, read, track in done.found:
            row = rows[frame.index - self._first]
            row["reads"].append(_read_row(read, track, frame if self._crops else None))


def _read_row(read: PlateRead, track: int, frame: Frame | None) -> dict[str, Any]:
    return {
        "text": read.text,
        "kind": read.kind,
        "score": read.score,
        "min_score": read.min_score,
        "char_scores": [*read.char_scores],
        "corners": np.asarray(read.corners, np.float32).ravel(),
        "det_score": read.det_score,
        "log_probs": np.ascontiguousarray(read.log_probs, "<f4").tobytes(),
        "candidates": [{"text": one.text, "score": one.score} for one in read.candidates],
        "track": track,
        "image": None if frame is None else png(crop_quad(frame.image, read.corners)),
    }
