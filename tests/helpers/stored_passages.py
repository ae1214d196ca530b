"""What tests of passages are made of: records, events of tracks, queues that only note, and a clock."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np

from edge_lpr.pipeline.events import PlateEvent
from edge_lpr.pipeline.wall_clock import iso
from edge_lpr.serve.database import Database
from edge_lpr.serve.record import PassageRecord
from edge_lpr.serve.rows import SCHEMA, write_event
from edge_lpr.serve.settings import ServeSettings
from edge_lpr.types import Image, Quad
from helpers.passages import RECORD

__all__ = [
    "NOON",
    "Clock",
    "NotingQueues",
    "database",
    "event",
    "fill",
    "frame",
    "noted",
    "plate",
    "settings",
    "track",
]

NOON = datetime(2026, 11, 27, 12, 0, 0, tzinfo=timezone.utc)
QUEUE = "CREATE TABLE IF NOT EXISTS noted (number INTEGER PRIMARY KEY, id TEXT, revision INTEGER, state TEXT)"


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class NotingQueues:
    """Notes in the transaction what is offered; the least that a queue does."""

    def __init__(self) -> None:
        self.woken = 0

    def offer(self, tx: sqlite3.Connection, record: PassageRecord) -> None:
        tx.execute(
            "INSERT INTO noted (id, revision, state) VALUES (?, ?, ?)",
            (record.id, record.revision, record.state),
        )

    def wake(self) -> None:
        self.woken += 1


def database(path: Path) -> Database:
    """A database with the tables of passages, and one of what was offered."""
    return Database(path, (*SCHEMA, QUEUE))


def settings(**camera: Any) -> ServeSettings:
    """A configuration with the cameras "gate" and "yard"."""
    return ServeSettings.model_validate(
        {"cameras": {"gate": {"source": "0", **camera}, "yard": {"source": "1", **camera}}}
    )


def event(number: int = 0, text: str = "京A12345", **fields: Any) -> PassageRecord:
    """A passage's record, first seen so many minutes after noon."""
    first = NOON + timedelta(minutes=number)
    one = replace(
        RECORD,
        id=f"passage-{number}",
        state="end",
        text=text,
        score=0.98,
        min_score=0.95,
        char_scores=(0.98,) * len(text),
        first_utc=iso(first),
        last_utc=iso(first + timedelta(seconds=4)),
        direction="",
        candidates=(),
        corners=(),
    )
    return replace(one, **fields)


def fill(base: Database, *records: PassageRecord) -> None:
    """Writes records."""
    with base.transaction() as tx:
        for one in records:
            write_event(tx, one)


def plate(x: float = 100, y: float = 100, width: float = 120) -> Quad:
    """The corners of a plate whose upper left one is there."""
    height = width / 4
    corners = [[0, 0], [width, 0], [width, height], [0, height]]
    return np.array(corners, np.float32) + np.float32([x, y])


def track(
    text: str = "京A12345",
    state: Any = "new",
    id: str = "track-1",  # noqa: A002
    seconds: float = 0.0,
    min_score: float = 0.95,
    **fields: Any,
) -> PlateEvent:
    """What is told of a track that was first seen so many seconds after noon, and last two seconds later."""
    first = NOON + timedelta(seconds=seconds)
    event = PlateEvent(
        text=text,
        kind="blue",
        score=min_score,
        min_score=min_score,
        char_scores=(min_score,) * len(text),
        reads=3,
        first_seen=seconds,
        last_seen=seconds + 2,
        first_frame=0,
        last_frame=50,
        track=1,
        corners=plate(),
        crop=np.full((30, 120, 3), 90, np.uint8),
        state=state,
        id=id,
        first_utc=first,
        last_utc=first + timedelta(seconds=2),
        source="gate",
        first_corners=plate(),
        last_corners=plate(),
    )
    return replace(event, **fields)


def frame(value: int = 60) -> Image:
    """A frame, uint8 480×640×3."""
    return np.full((480, 640, 3), value, np.uint8)


def noted(base: Database) -> list[tuple[str, int, str]]:
    """What was offered to the queues: id, revision and state."""
    rows = base.reader().execute("SELECT id, revision, state FROM noted ORDER BY number")
    return [(row[0], row[1], row[2]) for row in rows]
