"""The service's database: SQLite that has written what it has said to have written."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_lpr.errors import InputError, one_line

__all__ = ["MEND", "VERSION", "Database", "is_damaged", "is_held", "unusable"]

VERSION = 1
"""Of the tables; a file of another one is refused."""
MEND = "restore a copy of it, or move events.db, events.db-wal and events.db-shm away; pictures stay"
"""What is to be done where it is damaged."""
_BUSY_AT_START = 30.0  # seconds that another process may hold the file when it is opened: a backup
_HELD = "database is locked"  # SQLite's own words
# Then whoever writes waits no longer than this for another process, and for so long nobody tries again: the
# cameras' own thread is among them.
_BUSY, _AGAIN = 0.25, 1.0


class Database:
    """One file, written by one connection at a time; each reading thread has a connection of its own.

    WAL lets the page read while an event is written; synchronous=FULL has every transaction on the disk
    before `transaction` is left, so that nothing is told to anybody that a power cut takes back. Where
    another process holds the file, whoever wants to write is told so within a quarter of a second.

    Args:
        path: The file; made where there is none.
        schema: `CREATE TABLE IF NOT EXISTS …` of all that is kept in it.

    Raises:
        InputError: It cannot be opened, or is of another version.
    """

    def __init__(self, path: Path, schema: tuple[str, ...]) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._held_until = 0.0
        self._readers: dict[threading.Thread, sqlite3.Connection] = {}
        try:
            self._writer = self._connect(_BUSY_AT_START)
            with self._lock, self._writer:
                found = self._writer.execute("PRAGMA user_version").fetchone()[0]
                if found not in (0, VERSION):
                    raise InputError(f"{path}: of version {found}, expected {VERSION}; move it away")
                for statement in schema:
                    self._writer.execute(statement)
                self._writer.execute(f"PRAGMA user_version = {VERSION}")
            self._writer.execute(f"PRAGMA busy_timeout = {round(_BUSY * 1000)}")
        except sqlite3.Error as e:
            raise unusable(path, e) from e

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Gives the one connection that writes; all of it is written, or nothing.

        Raises:
            sqlite3.OperationalError: It cannot be written, as the disk is full or another process holds it
                (see `is_held`).
        """
        with self._lock:
            self._begin()
            try:
                yield self._writer
                self._writer.commit()
            except BaseException:
                # A full disk may have ended it already.
                if self._writer.in_transaction:
                    self._writer.rollback()
                raise

    def shrink_log(self) -> None:
        """Moves what the log holds into the file itself, and gives the log's room back to the disk.

        Raises:
            sqlite3.OperationalError: There is no room for that either.
        """
        with self._lock:
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def reader(self) -> sqlite3.Connection:
        """Returns this thread's connection, for reading alone; it is closed once the thread is no more."""
        thread = threading.current_thread()
        found = self._readers.get(thread)
        if found is None:
            found = self._connect(_BUSY)
            found.execute("PRAGMA query_only = ON")
            with self._lock:
                self._close_ended()
                self._readers[thread] = found
        return found

    def close(self) -> None:
        """Closes all connections; may be called twice."""
        with self._lock:
            while self._readers:
                self._readers.popitem()[1].close()
            self._writer.close()

    def _begin(self) -> None:
        if time.monotonic() < self._held_until:
            raise sqlite3.OperationalError(_HELD)
        try:
            self._writer.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as e:
            if is_held(e):
                self._held_until = time.monotonic() + _AGAIN
            raise

    def _close_ended(self) -> None:
        """Closes the connections of threads that are no more: outputs come and go."""
        for thread in [one for one in self._readers if not one.is_alive()]:
            self._readers.pop(thread).close()

    def _connect(self, busy: float) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=busy, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        return connection


def unusable(path: Path, error: sqlite3.Error) -> InputError:
    """Says in one line that a database cannot be used, and what to do."""
    do = f"; {MEND}" if is_damaged(error) else ""
    return InputError(f"{path}: cannot be opened as a database: {one_line(error)}{do}")


def is_damaged(error: sqlite3.Error) -> bool:
    """Tells whether what stands in a database's file is none."""
    return "malformed" in str(error) or "not a database" in str(error)


def is_held(error: sqlite3.Error) -> bool:
    """Tells whether a database could not be written, or read, as another process holds it."""
    return _HELD in str(error)
