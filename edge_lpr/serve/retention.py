"""How long events and pictures are kept: by days and by bytes, the oldest go first.

How old something is says a clock of its own (`age_clock`). What is to go is found by the database, in small
transactions, so that cameras are not held up and no folder of a million files is walked.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from edge_lpr.serve.age_clock import AgeClock
from edge_lpr.serve.database import Database
from edge_lpr.serve.pictures import Pictures
from edge_lpr.serve.settings import RetentionSettings

__all__ = ["Retention", "make_room"]

_DAY = 86_400.0
_AT_ONCE = 200  # rows of a transaction
_GIGABYTE = 1e9
# Where others fill the disk, the pictures of the last day stay.
_KEPT = _DAY
_DUE = "SELECT id FROM events WHERE sequence <= ? AND state = 'end' ORDER BY sequence LIMIT ?"
_DUE_THOUGH_CORRECTED = (
    "SELECT id FROM before_correction AS first JOIN events ON id = event"
    " WHERE first.sequence <= ? AND state = 'end' LIMIT ?"
)
_ROOM = 32_000_000  # bytes of pictures that are deleted at once for an event that cannot be written


class Retention:
    """Deletes what is older, or more, than is to be kept.

    Args:
        database: The database.
        pictures: The folder of pictures.
        settings: How long what is kept.
        ages: By which all is aged.
    """

    def __init__(
        self, database: Database, pictures: Pictures, settings: RetentionSettings, ages: AgeClock
    ) -> None:
        self.settings = settings
        self._ages = ages
        self._database = database
        self._pictures = pictures

    def clean(self) -> tuple[int, int]:
        """Deletes what is due; to be called every few minutes.

        Returns:
            How many events and pictures went.

        Raises:
            sqlite3.OperationalError: The database cannot be written; the next call goes on.
        """
        now = self._ages.advance()
        pictures = self._old_pictures(now) + self._large_pictures() + self._crowding_pictures(now)
        return self._old_events(now), pictures

    def _old_pictures(self, now: float) -> int:
        if not self.settings.picture_days:
            return 0
        return self._remove_before(now - self.settings.picture_days * _DAY)

    def _large_pictures(self) -> int:
        """Deletes the oldest pictures until the others take no more than they may."""
        limit = self.settings.picture_gigabytes * _GIGABYTE
        if not limit:
            return 0
        total = self._database.reader().execute("SELECT COALESCE(SUM(bytes), 0) FROM pictures").fetchone()[0]
        gone = 0
        while total > limit and (rows := self._oldest()):
            chosen = []
            for row in rows:
                if total <= limit:
                    break
                total -= row["bytes"]
                chosen.append(row)
            gone += self._remove(chosen)
        return gone

    def _crowding_pictures(self, now: float) -> int:
        """Deletes the oldest pictures until new ones have room, but for those of the last day."""
        gone = 0
        while self._pictures.free() < self.settings.free_gigabytes:
            rows = [row for row in self._oldest() if row["written"] < now - _KEPT]
            if not rows:
                break
            gone += self._remove(rows)
        return gone

    def _old_events(self, now: float) -> int:
        """Deletes old events with the pictures that they still have; a passage that goes on stays."""
        if not self.settings.event_days:
            return 0
        moment, gone = now - self.settings.event_days * _DAY, 0
        until = self._ages.written_until(moment)
        for due in (_DUE, _DUE_THOUGH_CORRECTED):
            while rows := self._select(due, until):
                ids = [row["id"] for row in rows]
                marks = ", ".join("?" * len(ids))
                found = self._database.reader().execute(
                    f"SELECT path FROM pictures WHERE event IN ({marks})", ids
                )
                self._remove(found.fetchall())
                with self._database.transaction() as tx:
                    tx.execute(f"DELETE FROM events WHERE id IN ({marks})", ids)
                    tx.execute(f"DELETE FROM before_correction WHERE event IN ({marks})", ids)
                gone += len(ids)
        # Those of no event go with none.
        while strays := self._select(
            "SELECT path FROM pictures WHERE event = '' AND written < ? ORDER BY written LIMIT ?", moment
        ):
            self._remove(strays)
        self._ages.forget_until(moment)
        return gone

    def _remove_before(self, moment: float) -> int:
        gone = 0
        while rows := self._select(
            "SELECT path FROM pictures WHERE written < ? ORDER BY written LIMIT ?", moment
        ):
            gone += self._remove(rows)
        return gone

    def _oldest(self) -> list[sqlite3.Row]:
        return self._select("SELECT path, written, bytes FROM pictures ORDER BY written LIMIT ?")

    def _select(self, query: str, *values: float) -> list[sqlite3.Row]:
        return self._database.reader().execute(query, (*values, _AT_ONCE)).fetchall()

    def _remove(self, rows: Sequence[sqlite3.Row]) -> int:
        """Deletes files, and then what is known of them: what is in between when the power goes is gone."""
        for row in rows:
            self._pictures.remove(row["path"])
        with self._database.transaction() as tx:
            tx.executemany("DELETE FROM pictures WHERE path = ?", [(row["path"],) for row in rows])
        return len(rows)


def make_room(database: Database, pictures: Pictures, after: float) -> float:
    """Deletes the oldest pictures where an event cannot be written: those are worth more.

    Args:
        database: The database, which may be read still.
        pictures: The pictures.
        after: Those that were written up to then are gone already, in seconds since the epoch; what is known
            of them cannot be deleted yet.

    Returns:
        Up to when pictures are gone now; `after` where there were none to delete.
    """
    try:
        rows = database.reader().execute(
            "SELECT path, written, bytes FROM pictures WHERE written > ? ORDER BY written", (after,)
        )
        freed = 0
        for row in rows:
            pictures.remove(row["path"])
            after, freed = row["written"], freed + row["bytes"]
            if freed >= _ROOM:
                break
    except sqlite3.Error:  # not even that can be read
        return after
    return after
