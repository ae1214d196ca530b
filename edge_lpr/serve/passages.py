"""Passages: what the reader tells of tracks becomes what the service tells of vehicles, on the disk first.

Each passage has exactly one "new", told at once, and exactly one "end", and any number of "update" between
them; `revision` counts them from 1. The end is told once the plate has not come back for
`same_plate_within`, or as the service stops: seen again before, it is the same passage still, and only what
differs is told. `last_utc` says when it was seen last, however late its end is told. A service that was
killed tells the end of what it had begun when it starts again, as far as it was known.
"""

from __future__ import annotations

import math
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import replace

from edge_lpr.pipeline.events import PlateEvent
from edge_lpr.pipeline.wall_clock import parse_iso
from edge_lpr.serve.database import Database
from edge_lpr.serve.event_writer import EventWriter, Listener, Offering
from edge_lpr.serve.lists import Lists
from edge_lpr.serve.matching import fold
from edge_lpr.serve.open_passage import OpenPassage
from edge_lpr.serve.pictures import Picture, Pictures
from edge_lpr.serve.record import PassageRecord, State
from edge_lpr.serve.rows import is_known, open_records
from edge_lpr.serve.settings import CameraSettings, ServeSettings
from edge_lpr.types import Image

__all__ = ["Passages"]

_UNKNOWN = CameraSettings.model_validate({"source": "-"})
_LAST_WORD = 10.0  # seconds in which a camera that is gone has told the end of the vehicles that were in view
# What is worth telling; how sure a text is, and how long it was seen, is told with the end.
_NEWS = ("text", "kind", "direction", "matches")


class Passages:
    """Takes what is read, and tells it: to the database, to the queues of outputs, to whoever listens.

    Any thread may call it.

    Args:
        database: Where passages are kept; such as are open in it are ended.
        pictures: Where their pictures are.
        lists: The lists of plates.
        queues: Are offered each record.
        settings: The configuration.
        clock: Seconds of a clock that is never set.
    """

    def __init__(
        self,
        database: Database,
        pictures: Pictures,
        lists: Lists,
        queues: Offering,
        settings: ServeSettings,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._pictures = pictures
        self._lists = lists
        self._settings = settings
        self._clock = clock
        self._lock = threading.RLock()
        self._open: dict[str, list[OpenPassage]] = {}
        self._gone: dict[str, CameraSettings] = {}
        self._writer = EventWriter(database, pictures, queues, clock)
        waiting = self._writer.take_in()
        if not waiting:  # else some of the pictures without rows belong to what waits
            pictures.adopt_strays(database)
        begun = {record.id: record for record in open_records(database.reader())} | waiting
        for record in begun.values():
            if record.state != "end":
                self._writer.write(replace(record, state="end", revision=record.revision + 1), ())

    @property
    def listeners(self) -> list[Listener]:
        """Called with each record once it is on the disk; what they raise is logged."""
        return self._writer.listeners

    @property
    def state(self) -> str:
        """Why events wait in memory, as the disk is full; "" where they are written."""
        return self._writer.state

    @property
    def waiting(self) -> int:
        """How many records wait in memory for the disk."""
        return self._writer.waiting

    @property
    def lost(self) -> int:
        """How many records were lost, as more had to wait than memory is given to."""
        return self._writer.lost

    def open_count(self, camera: str | None = None) -> int:
        """Returns how many passages go on, at one camera or at all."""
        with self._lock:
            names = list(self._open) if camera is None else [camera]
            return sum(len(self._open.get(name, ())) for name in names)

    def take(self, camera: str, event: PlateEvent, frame: Image | None) -> PassageRecord | None:
        """Takes what the reader tells of a track.

        Args:
            camera: The camera's name.
            event: What is told.
            frame: uint8 H×W×3 BGR, the frame at which it is told; None where there was none.

        Returns:
            What was told of the passage, and is on the disk; None where there was nothing new to tell, or the
            disk takes nothing: `state` says so then, and it is written as soon as it can be.
        """
        with self._lock:
            self._end_due(camera)
            here = self._open.setdefault(camera, [])
            passage = _find(here, event)
            if passage is None:
                passage = OpenPassage(self._free_id(event.id), camera, event)
                here.append(passage)
            if frame is not None:
                passage.size = frame.shape[0], frame.shape[1]
            within = self._camera(camera).same_plate_within
            passage.add(event, self._clock() + within)
            pictures = self._picture(passage, event, frame)
            record = self._tell(passage, "new" if passage.told is None else "update", pictures)
            if passage.ends_at is not None and within == 0:
                here.remove(passage)
                record = self._tell(passage, "end", ()) or record
            return record

    def tick(self) -> None:
        """Tells the end of what has not come back, and tries again what waits; to be called each second."""
        with self._lock:
            for camera in list(self._open):
                self._end_due(camera)
            self._writer.retry()

    def close_all(self, seconds: float = math.inf) -> None:
        """Tells the end of all passages: the service stops.

        What the database does not take within so many seconds, or not at all, lies in a file until the next
        start.
        """
        with self._lock:
            for name in list(self._open):
                for passage in self._open.pop(name):
                    if (record := self._news(passage, "end", ())) is not None:
                        self._writer.add(record, ())
            self._writer.retry(now=True, seconds=seconds)
            self._writer.set_aside()

    def reload(self, lists: Lists, settings: ServeSettings) -> None:
        """Heeds other lists and settings from now on; passages go on, but of cameras that are gone.

        What is in view of such a camera ends once its reading tells so: ended before, it would be told anew.
        """
        with self._lock:
            for name, camera in self._settings.cameras.items():
                if name not in settings.cameras:  # its last records have its role and site still
                    self._gone[name] = camera.model_copy(update={"same_plate_within": 0.0})
            self._lists, self._settings = lists, settings
            self._pictures.reload(settings.retention)
            now = self._clock()
            for name in set(self._open) - set(settings.cameras):
                for passage in self._open[name]:
                    passage.ends_at = now + _LAST_WORD if passage.ends_at is None else now
                self._end_due(name)

    def _camera(self, name: str) -> CameraSettings:
        return self._settings.cameras.get(name) or self._gone.get(name, _UNKNOWN)

    def _end_due(self, camera: str) -> None:
        """Ends the passages of a camera whose plate has not come back in time."""
        now = self._clock()
        here = self._open.get(camera, [])
        for passage in [one for one in here if one.ends_at is not None and one.ends_at <= now]:
            here.remove(passage)
            self._tell(passage, "end", ())

    def _tell(
        self, passage: OpenPassage, state: State, pictures: tuple[Picture, ...]
    ) -> PassageRecord | None:
        """Writes what is known of a passage where it is news; returns it where it is on the disk."""
        record = self._news(passage, state, pictures)
        return record if record is not None and self._writer.write(record, pictures) else None

    def _news(
        self, passage: OpenPassage, state: State, pictures: tuple[Picture, ...]
    ) -> PassageRecord | None:
        """Returns what is known of a passage where it is news; of what is none, the pictures are noted."""
        record = passage.record(state, self._camera(passage.camera))
        others = [text for text, _ in record.candidates]
        # By the first moment: what let a vehicle in is not another list when it leaves.
        when = parse_iso(record.first_utc)
        matches = self._lists.match(record.text, record.char_scores, others, record.camera, when)
        record = replace(record, matches=matches)
        told = passage.told
        if state == "update" and told and all(getattr(told, n) == getattr(record, n) for n in _NEWS):
            for picture in pictures:
                self._writer.note(picture)
            return None
        passage.told = record
        return record

    def _picture(self, passage: OpenPassage, event: PlateEvent, frame: Image | None) -> tuple[Picture, ...]:
        """Writes the pictures of an event where they show more than those that there are."""
        found: list[Picture] = []
        day = passage.day
        if event.crop is not None and event.crop.size and event.min_score > passage.crop_score:
            picture = self._pictures.put(passage.id, day, "crop", event.crop, passage.crop)
            if picture is not None:
                passage.crop, passage.crop_score = picture.path, event.min_score
                found.append(picture)
        if frame is not None and passage.wants_frame(event):
            picture = self._pictures.put(passage.id, day, "frame", frame, passage.frame)
            if picture is not None:
                passage.frame = picture.path
                passage.shown(event)
                found.append(picture)
        return tuple(found)

    def _free_id(self, track: str) -> str:
        """Returns the track's id for its passage; another one where a file is read again and has it twice."""
        try:
            taken = not track or is_known(self._database.reader(), track)
        except sqlite3.Error:  # nothing can be read: then no file is read again either
            taken = not track
        return str(uuid.uuid4()) if taken else track


def _find(passages: list[OpenPassage], event: PlateEvent) -> OpenPassage | None:
    """Returns the passage that a track belongs to, or that its plate has come back to; None for neither."""
    own = next((one for one in passages if one.has(event.id)), None)
    folded = fold(event.text)
    return own or next((one for one in reversed(passages) if one.is_of(folded)), None)
