"""The service's database: SQLite that has written what it has said to have written."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edge_lpr.errors import InputError

__all__ = ["VERSION", "Database"]

VERSION = 1
"""Of the tables; a file of another one is refused."""
_BUSY = 30.0  # seconds that another process may hold the file: a backup


class Database:
    """One file, written by one connection at a time; each reading thread has a connection of its own.

    WAL lets the page read while an event is written; synchronous=FULL has every transaction on the disk
    before `transaction` is left, so that nothing is told to anybody that a power cut takes back.

    Args:
        path: The file; made where there is none.
        schema: `CREATE TABLE IF NOT EXISTS …` of all that is kept in it.

    Raises:
        InputError: It cannot be opened, or is of another version.
    """

    def __init__(self, path: Path, schema: tuple[str, ...]) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._local = threading.local()
        self._all: list[sqlite3.Connection] = []
        try:
            self._writer = self._connect()
            with self._lock, self._writer:
                found = self._writer.execute("PRAGMA user_version").fetchone()[0]
                if found not in (0, VERSION):
                    raise InputError(f"{path}: of version {found}, expected {VERSION}; move it away")
                for statement in schema:
                    self._writer.execute(statement)
                self._writer.execute(f"PRAGMA user_version = {VERSION}")
        except sqlite3.Error as e:
            raise InputError(f"{path}: cannot be opened as a database: {e}") from e

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Gives the one connection that writes; all of it is written, or nothing.

        Raises:
            sqlite3.OperationalError: It cannot be written, as the disk is full.
        """
        with self._lock:
            self._writer.execute("BEGIN IMMEDIATE")
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
        """Returns this thread's connection, for reading alone."""
        found: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if found is None:
            found = self._local.connection = self._connect()
            found.execute("PRAGMA query_only = ON")
        return found

    def close(self) -> None:
        """Closes all connections; may be called twice."""
        with self._lock:
            while self._all:
                self._all.pop().close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=_BUSY, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        with self._lock:
            self._all.append(connection)
        return connection
