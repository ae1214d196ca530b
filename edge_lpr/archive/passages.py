"""The vehicles of a whole video, out of what its segments' frames show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edge_lpr.archive.store import Store
from edge_lpr.archive.units import Unit
from edge_lpr.io.frames import Source
from edge_lpr.outputs.records import Result, to_record
from edge_lpr.pipeline.events import PlateEvent, event_id
from edge_lpr.pipeline.fusion import read_weight
from edge_lpr.pipeline.stream import Tracking, tracker_of
from edge_lpr.plates import PlateRead
from edge_lpr.plates.read import Candidate
from edge_lpr.types import Quad

__all__ = ["rows_of_video"]


def rows_of_video(units: Sequence[Unit], store: Store, reader: Tracking) -> list[dict[str, Any]]:
    """Joins the reads of a video to the tracks of its vehicles, as one run over the whole video does.

    Args:
        units: All its segments, in order; each is committed.
        store: Has what they gave.
        reader: Says how; its models are not used.

    Returns:
        A row for each vehicle, as `edge_lpr.archive.schema.rows_schema` has them, in the order in which the
        vehicles have gone.

    Raises:
        FileNotFoundError: A segment is not there, or not any more.
    """
    video = _Video(units[0], reader)
    for unit in units:
        told, frames = store.read_segment(unit)
        video.begin(told)
        for frame in frames:
            video.add(frame)
    return video.end()


class _Video:
    """One video's tracker, and the images of its vehicles' best reads."""

    def __init__(self, unit: Unit, reader: Tracking) -> None:
        self._unit = unit
        self._name = unit.files[0].name
        self._classes = reader.bundle.rec.classes
        self._tracker = tracker_of(reader, lambda number: event_id(self._name, None, number), self._name)
        self._images: dict[int, tuple[float, bytes | None]] = {}  # weight and PNG of the best read, by track
        self._rows: list[dict[str, Any]] = []
        self._offset = 0  # frames before this segment
        self._received = 0
        self._tracks: dict[int, int] = {}  # the video's tracks by those of the segment

    def begin(self, told: Mapping[str, Any]) -> None:
        """Takes a segment, whose frames follow."""
        self._offset += self._received
        self._received = int(told["received"])
        self._tracks = {}
        self._tracker.fps = told["fps"]
        self._tracker.look_interval = float(told["look_interval"])

    def add(self, frame: Mapping[str, Any]) -> None:
        """Takes a frame."""
        index, time = self._offset + int(frame["frame"]), float(frame["time"])
        reads = [_read(row, self._classes) for row in frame["reads"]]
        held: list[int] = []
        followed: dict[int, Quad] = {}
        for kept in frame["kept"]:
            track = self._tracks.get(kept["track"])
            if track is not None and kept["corners"] is None:
                held.append(track)
            elif track is not None:
                followed[track] = _quad(kept["corners"])
        self._tracker.keep(held, followed, index, time)
        events = self._tracker.update(reads, index, time)
        for row, read, track in zip(frame["reads"], reads, self._tracker.owners, strict=True):
            self._tracks[row["track"]] = track
            weight = read_weight(read)
            if row["image"] is not None and weight > self._images.get(track, (-1.0, None))[0]:
                self._images[track] = weight, row["image"]
        self._tell(events)

    def end(self) -> list[dict[str, Any]]:
        """Returns all rows, those of the vehicles that were still in view last."""
        self._tell(self._tracker.flush())
        return self._rows

    def _tell(self, events: Sequence[PlateEvent]) -> None:
        for event in events:
            record = to_record(Result(Source(self._name, lambda _: None), None, event, self._name))
            image = self._images.pop(event.track, (0.0, None))[1]
            self._rows.append({**record, "unit": self._unit.video, "image": image})


def _read(row: Mapping[str, Any], classes: int) -> PlateRead:
    return PlateRead(
        text=row["text"],
        kind=row["kind"],
        score=row["score"],
        min_score=row["min_score"],
        char_scores=tuple(row["char_scores"]),
        corners=_quad(row["corners"]),
        det_score=row["det_score"],
        log_probs=np.frombuffer(row["log_probs"], "<f4").reshape(-1, classes),
        candidates=tuple(Candidate(one["text"], one["score"]) for one in row["candidates"]),
    )


def _quad(values: Sequence[float]) -> Quad:
    return np.asarray(values, np.float32).reshape(4, 2)
