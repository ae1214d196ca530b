"""A passage that goes on: one vehicle's tracks at one camera, and what they say together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone

from edge_lpr.pipeline.events import PlateEvent
from edge_lpr.pipeline.wall_clock import iso
from edge_lpr.plates.read import rounded
from edge_lpr.serve.direction import direction_of
from edge_lpr.serve.matching import fold
from edge_lpr.serve.record import Direction, PassageRecord, State
from edge_lpr.serve.settings import CameraSettings
from edge_lpr.types import Quad, Size

__all__ = ["OpenPassage"]


@dataclass
class _Frame:
    """The frame that is kept: how sure the plate was then, and where."""

    min_score: float
    corners: Quad


class OpenPassage:
    """What is known of a passage of which no end was told yet.

    A vehicle may be lost and found again: each time it has another track. Their reads count together, the
    surest text is told, and the way is that from the first track's beginning to the last one's end. Of tracks
    that are over no more is kept than that, however often a parked car is found again.

    Args:
        id: Its id.
        camera: The camera's name.
        event: The first that was told of it.

    Attributes:
        id: As given.
        camera: As given.
        told: What was told last; None before the first.
        ends_at: When it ends unless it is seen again, by the clock of whoever asks; None while it is in view.
        crop: The picture of the plate, relative to the folder of pictures; "" for none.
        frame: That of the whole frame.
        crop_score: How sure the read was that the crop shows, 0 to 1; below 0 for none.
        size: Height and width of the camera's frames, in pixels; None where none is known.
    """

    def __init__(self, id: str, camera: str, event: PlateEvent) -> None:  # noqa: A002
        self.id = id
        self.camera = camera
        self.told: PassageRecord | None = None
        self.ends_at: float | None = None
        self.crop = ""
        self.frame = ""
        self.crop_score = -1.0
        self.size: Size | None = None
        self._first_track = event.id
        self._first_corners = event.first_corners
        self._last_corners: Quad | None = None
        self._first, self._last = _times(event)
        self._open: dict[str, PlateEvent] = {}
        self._over: PlateEvent | None = None  # the surest of the tracks that are over
        self._reads_over = 0
        self._shown: _Frame | None = None
        self._folded: set[str] = set()

    @property
    def best(self) -> PlateEvent:
        """What the surest track says."""
        known = [*self._open.values(), *([self._over] if self._over else [])]
        return max(known, key=lambda event: (event.min_score, event.reads))

    @property
    def day(self) -> str:
        """The day on which it began, UTC, 2026-11-27."""
        return self._first.date().isoformat()

    def has(self, track: str) -> bool:
        """Tells whether a track that is open belongs to it."""
        return track in self._open

    def is_of(self, folded: str) -> bool:
        """Tells whether a text, as `fold` gives it, may be this vehicle's: it is like what a track says."""
        return folded in self._folded

    def add(self, event: PlateEvent, ends_at: float) -> None:
        """Takes in what a track says.

        Args:
            event: The track's event.
            ends_at: When the passage ends unless it is seen again, if this was the end of its last track.
        """
        first, last = _times(event)
        if event.id == self._first_track:  # the clock may have been set right meanwhile
            self._first = first
        self._last = max(self._last, last, self._first)
        self._last_corners = event.last_corners if event.last_corners is not None else event.corners
        event = replace(event, crop=None)
        if event.state != "end":
            self._open[event.id] = event
            self.ends_at = None
        else:
            self._open.pop(event.id, None)
            self._reads_over += event.reads
            if self._over is None or event.min_score >= self._over.min_score:
                self._over = event
            if not self._open:
                self.ends_at = ends_at
        known = [self._over, *self._open.values()]
        self._folded = {fold(one.text) for one in known if one is not None}

    def wants_frame(self, event: PlateEvent) -> bool:
        """Tells whether the frame of an event is the one to keep: it shows the plate surer than the last.

        At the end of a track the vehicle has gone, so that frame is kept only where there is no other.
        """
        if self._shown is None:
            return True
        return event.state != "end" and event.min_score > self._shown.min_score

    def shown(self, event: PlateEvent) -> None:
        """Notes that the frame of an event is kept."""
        corners = event.corners if event.last_corners is None else event.last_corners
        self._shown = _Frame(event.min_score, corners)

    def record(self, state: State, camera: CameraSettings) -> PassageRecord:
        """Returns what is known, as it would be told next; its lists are those that were told last.

        Args:
            state: What is told.
            camera: The camera's settings.
        """
        best = self.best
        corners = best.corners if self._shown is None else self._shown.corners
        told = self.told
        direction: Direction = ""
        if self._first_corners is not None and self._last_corners is not None:
            direction = direction_of(camera, self._first_corners, self._last_corners, self.size)
        return PassageRecord(
            id=self.id,
            camera=self.camera,
            state=state,
            revision=told.revision + 1 if told else 1,
            text=best.text,
            kind=best.kind,
            score=_score(best.score),
            min_score=_score(best.min_score),
            char_scores=tuple(map(_score, best.char_scores)),
            reads=self._reads_over + sum(event.reads for event in self._open.values()),
            first_utc=iso(self._first),
            last_utc=iso(self._last),
            direction=direction or (told.direction if told else ""),
            site=camera.site,
            role=camera.role,
            candidates=tuple((one.text, _score(one.score)) for one in best.candidates),
            matches=told.matches if told else (),
            corners=tuple((round(float(x), 1), round(float(y), 1)) for x, y in corners),
            crop=self.crop,
            frame=self.frame,
        )


def _score(value: float) -> float:
    return rounded(value, 4) or 0.0


def _times(event: PlateEvent) -> tuple[datetime, datetime]:
    """Returns when a track was first and last seen; of a file, as if its last frame had been just now."""
    last = event.last_utc or datetime.now(timezone.utc)
    return event.first_utc or last - timedelta(seconds=event.last_seen - event.first_seen), last
