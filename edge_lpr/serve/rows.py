"""A passage as rows of the database: what is written of it, and how it is read again."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from edge_lpr.pipeline.wall_clock import parse_iso
from edge_lpr.serve import age_clock, pictures
from edge_lpr.serve.matching import fold
from edge_lpr.serve.record import Match, PassageRecord

__all__ = [
    "COLUMNS",
    "SCHEMA",
    "StoredEvent",
    "is_known",
    "is_written",
    "next_sequence",
    "open_records",
    "record_of",
    "stored",
    "write_event",
]

SCHEMA: tuple[str, ...] = (
    """CREATE TABLE IF NOT EXISTS events (
        number INTEGER PRIMARY KEY,
        id TEXT NOT NULL UNIQUE,
        sequence INTEGER NOT NULL UNIQUE,
        state TEXT NOT NULL,
        revision INTEGER NOT NULL,
        camera TEXT NOT NULL,
        site TEXT NOT NULL,
        role TEXT NOT NULL,
        text TEXT NOT NULL,
        folded TEXT NOT NULL,
        kind TEXT NOT NULL,
        direction TEXT NOT NULL,
        action TEXT NOT NULL,
        lists TEXT NOT NULL,
        first REAL NOT NULL,
        last REAL NOT NULL,
        record TEXT NOT NULL,
        corrected_text TEXT,
        corrected_folded TEXT,
        corrected_at TEXT,
        corrected_by TEXT
    )""",
    # With the plates in it: a pattern is looked for in the index alone, a twentieth of the table.
    "CREATE INDEX IF NOT EXISTS events_first ON events (first, number, folded, corrected_folded)",
    "CREATE INDEX IF NOT EXISTS events_camera ON events (camera, first, number)",
    "CREATE INDEX IF NOT EXISTS events_site ON events (site, first) WHERE role != '' OR direction != ''",
    "CREATE INDEX IF NOT EXISTS events_folded ON events (folded, first)",
    "CREATE INDEX IF NOT EXISTS events_corrected ON events (corrected_folded, first)"
    " WHERE corrected_folded IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS events_listed ON events (first, number) WHERE lists != ''",
    "CREATE INDEX IF NOT EXISTS events_open ON events (number) WHERE state != 'end'",
    # The highest number is kept apart: once the newest events are deleted, none is given twice.
    "CREATE TABLE IF NOT EXISTS sequences (one INTEGER PRIMARY KEY CHECK (one = 1), last INTEGER NOT NULL)",
    "INSERT OR IGNORE INTO sequences VALUES (1, 0)",
    # The number that a passage had before somebody corrected it: correcting it makes it no younger.
    "CREATE TABLE IF NOT EXISTS before_correction (event TEXT PRIMARY KEY, sequence INTEGER NOT NULL)",
    *pictures.SCHEMA,
    *age_clock.SCHEMA,
)
"""The tables of passages, their pictures and their age; `number` is the order in which passages began."""
COLUMNS = "sequence, record, corrected_text, corrected_at, corrected_by"
"""What `stored` makes an event of."""


@dataclass(frozen=True)
class StoredEvent:
    """A passage as it is in the database.

    Attributes:
        record: What was told of it last.
        sequence: Grows with all that is written, by whichever passage: who has seen all up to one number goes
            on after it.
        corrected_text: What a person says that the plate is; "" where nobody has said anything.
        corrected_at: When, ISO 8601 UTC.
        corrected_by: Who.
    """

    record: PassageRecord
    sequence: int
    corrected_text: str = ""
    corrected_at: str = ""
    corrected_by: str = ""

    @property
    def text(self) -> str:
        """The plate: as it was corrected, else as it was read."""
        return self.corrected_text or self.record.text

    def to_dict(self) -> dict[str, Any]:
        """Returns what the interface gives: that of the record, with the number and the correction."""
        return {
            **self.record.to_dict(),
            "sequence": self.sequence,
            "corrected_text": self.corrected_text,
            "corrected_at": self.corrected_at,
            "corrected_by": self.corrected_by,
        }


def write_event(tx: sqlite3.Connection, record: PassageRecord) -> int:
    """Writes a passage, or what is new of it; a correction stays.

    Args:
        tx: The transaction that it belongs to.
        record: What is told of it.

    Returns:
        Its number in the sequence of all that is written.
    """
    sequence = next_sequence(tx)
    values = {
        "sequence": sequence,
        **{name: getattr(record, name) for name in ("state", "revision", "camera", "site", "role", "text")},
        "folded": fold(record.text),
        "kind": record.kind,
        "direction": record.direction,
        "action": record.action,
        # Between commas, so that no name is found in a longer one.
        "lists": "".join(f",{match.list}" for match in record.matches) + ("," if record.matches else ""),
        "first": parse_iso(record.first_utc).timestamp(),
        "last": parse_iso(record.last_utc).timestamp(),
        "record": json.dumps(asdict(record), ensure_ascii=False, separators=(",", ":"), allow_nan=False),
    }
    names = ", ".join(("id", *values))
    marks = ", ".join("?" * (len(values) + 1))
    changed = ", ".join(f"{name} = excluded.{name}" for name in values)
    tx.execute(
        f"INSERT INTO events ({names}) VALUES ({marks}) ON CONFLICT (id) DO UPDATE SET {changed}",
        (record.id, *values.values()),
    )
    return sequence


def open_records(connection: sqlite3.Connection) -> list[PassageRecord]:
    """Returns the passages of which no end was told, in the order in which they began."""
    rows = connection.execute("SELECT record FROM events WHERE state != 'end' ORDER BY number")
    return [record_of(json.loads(row["record"])) for row in rows]


def stored(row: sqlite3.Row) -> StoredEvent:
    """Makes an event of a row of `COLUMNS`."""
    corrected = (row["corrected_text"], row["corrected_at"], row["corrected_by"])
    return StoredEvent(
        record_of(json.loads(row["record"])), row["sequence"], *(value or "" for value in corrected)
    )


def is_written(connection: sqlite3.Connection, record: PassageRecord) -> bool:
    """Tells whether a record, or a later one of its passage, is in the database."""
    row = connection.execute("SELECT revision FROM events WHERE id = ?", (record.id,)).fetchone()
    return row is not None and row["revision"] >= record.revision


def is_known(connection: sqlite3.Connection, id: str) -> bool:  # noqa: A002
    """Tells whether there is a passage of this id."""
    return connection.execute("SELECT 1 FROM events WHERE id = ?", (id,)).fetchone() is not None


def record_of(data: Mapping[str, Any]) -> PassageRecord:
    """Makes a record of its plain values; what a later version has among them beside is passed over.

    Raises:
        TypeError: One is missing.
    """
    known = {field.name: data[field.name] for field in fields(PassageRecord) if field.name in data}
    known["matches"] = tuple(Match(**match) for match in known.get("matches", ()))
    for name in ("char_scores", "candidates", "corners"):
        value = known.get(name, ())
        known[name] = tuple(tuple(v) if isinstance(v, list) else v for v in value)
    return PassageRecord(**known)


def next_sequence(tx: sqlite3.Connection) -> int:
    """Returns the number of what is written next, in the transaction that writes it."""
    tx.execute("UPDATE sequences SET last = last + 1")
    return int(tx.execute("SELECT last FROM sequences").fetchone()[0])
