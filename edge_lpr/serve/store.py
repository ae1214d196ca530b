"""What is kept of passages, for whoever looks at it: the page, the interface, the metrics."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone

from edge_lpr.datasets.label_text import clean_text
from edge_lpr.errors import InputError, shown
from edge_lpr.pipeline.wall_clock import iso
from edge_lpr.serve.counts import Count, CountQuery, counts
from edge_lpr.serve.database import Database
from edge_lpr.serve.matching import fold
from edge_lpr.serve.plate_entry import MAX_PLATE
from edge_lpr.serve.rows import COLUMNS, SCHEMA, StoredEvent, next_sequence, stored
from edge_lpr.serve.search import Page, Query, search
from edge_lpr.serve.stays import Stay, stays

__all__ = ["SCHEMA", "Count", "CountQuery", "EventStore", "Page", "Query", "Stay", "StoredEvent"]

_MAX_CHANGES = 1000


class EventStore:
    """The passages of a database, for whoever wants to look at them; any thread may.

    Args:
        database: The database.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    def get(self, id: str) -> StoredEvent | None:  # noqa: A002 as it is called everywhere
        """Returns a passage; None where there is none of this id."""
        row = self.database.reader().execute(f"SELECT {COLUMNS} FROM events WHERE id = ?", (id,)).fetchone()
        return None if row is None else stored(row)

    def changes(self, after: int, limit: int = 100) -> list[StoredEvent]:
        """Returns what was written after a number, in its order.

        A passage that was written several times since stands there once, as it is now.

        Args:
            after: The `sequence` of the last that was seen; 0 begins.
            limit: At most so many, 1 to 1000.
        """
        rows = self.database.reader().execute(
            f"SELECT {COLUMNS} FROM events WHERE sequence > ? ORDER BY sequence LIMIT ?",
            (after, max(1, min(limit, _MAX_CHANGES))),
        )
        return [stored(row) for row in rows]

    def corrected(self, limit: int) -> list[StoredEvent]:
        """Returns the newest passages whose text a person has given, at most so many."""
        rows = self.database.reader().execute(
            f"SELECT {COLUMNS} FROM events WHERE corrected_folded IS NOT NULL ORDER BY first DESC LIMIT ?",
            (limit,),
        )
        return [stored(row) for row in rows]

    def count(self) -> int:
        """Returns how many passages there are."""
        return int(self.database.reader().execute("SELECT count(*) FROM events").fetchone()[0])

    def correct(self, id: str, text: str, by: str) -> StoredEvent | None:  # noqa: A002
        """Keeps what a person says that a plate is, beside what was read.

        Args:
            id: The passage's.
            text: The plate; "" takes a correction back.
            by: Who says so.

        Returns:
            The passage; None where there is none of this id.

        Raises:
            InputError: The text can be no plate's.
        """
        plate = clean_text(text)
        if len(plate) > MAX_PLATE or (text.strip() and not plate.isalnum()):
            raise InputError(f"plate {shown(text)}: expected letters and digits, at most {MAX_PLATE}")
        at = iso(datetime.now(timezone.utc))
        values = (plate, fold(plate), at, by[:64]) if plate else (None, None, None, None)
        with self.database.transaction() as tx:
            tx.execute(
                "INSERT OR IGNORE INTO before_correction SELECT id, sequence FROM events WHERE id = ?", (id,)
            )
            tx.execute(
                "UPDATE events SET sequence = ?, corrected_text = ?, corrected_folded = ?, corrected_at = ?,"
                " corrected_by = ? WHERE id = ?",
                (next_sequence(tx), *values, id),
            )
        return self.get(id)

    def search(self, query: Query) -> Page:
        """Finds passages, the newest first; see `edge_lpr.serve.search`.

        Raises:
            InputError: The plate, the limit or the cursor can be none.
        """
        return search(self.database, query)

    def every(self, query: Query) -> Iterator[StoredEvent]:
        """Finds all passages of a query, page after page: for files that are downloaded.

        Raises:
            InputError: As for `search`.
        """
        while True:
            page = self.search(query)
            yield from page.events
            if not page.cursor:
                return
            query = replace(query, cursor=page.cursor)

    def counts(self, query: CountQuery) -> list[Count]:
        """Counts passages by hour or day, camera, direction and kind; see `edge_lpr.serve.counts`."""
        return counts(self.database, query)

    def stays(self, site: str, since: float, before: float) -> list[Stay]:
        """Pairs entries and exits of a site; see `edge_lpr.serve.stays`."""
        return stays(self.database, site, since, before)

    def sites(self) -> list[str]:
        """Returns the sites at which anything came in or went out."""
        rows = self.database.reader().execute(
            "SELECT DISTINCT site FROM events WHERE role != '' OR direction != '' ORDER BY site"
        )
        return [row["site"] for row in rows]
