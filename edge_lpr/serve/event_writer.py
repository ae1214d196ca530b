"""Writes what is told of passages: an event and its places in the queues together, or neither.

Where the database takes nothing (the disk is full or has failed, another process holds the file), records
wait in memory, in their order, and are written once it does; pictures are deleted before an event waits for
room. What still waits as the service ends lies in a file of its own until the next start.
"""

from __future__ import annotations

import errno
import logging
import math
import os
import sqlite3
import tempfile
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from edge_lpr.counting import counted
from edge_lpr.errors import EdgeLprError, one_line
from edge_lpr.serve.database import MEND, Database, is_damaged, is_held
from edge_lpr.serve.pictures import Picture, Pictures, note
from edge_lpr.serve.record import PassageRecord
from edge_lpr.serve.retention import make_room
from edge_lpr.serve.rows import is_written, write_event
from edge_lpr.serve.set_aside import SetAside, Told

__all__ = ["MAX_WAITING", "EventWriter", "Listener", "Offering"]

Listener = Callable[[PassageRecord], None]
MAX_WAITING = 20_000
"""Records that may wait in memory, a few kilobytes each; then the oldest are lost, and counted."""
_AT_ONCE = 100  # records of a transaction when they are written at last
_PAUSE = 1.0  # seconds between two tries
_PROBE = 1 << 18  # bytes: more than SQLite asks for at once
_TURN = 0.2  # seconds that what has waited is written at once: cameras are read in between
_UNFIT = (ValueError, TypeError, OverflowError, sqlite3.IntegrityError, sqlite3.DataError)

_logger = logging.getLogger("edge_lpr")


class Offering(Protocol):
    """What is needed of queues here; `edge_lpr.serve.delivery.queue.Queues` is one."""

    def offer(self, tx: sqlite3.Connection, record: PassageRecord) -> None:
        """Queues a record in the transaction that it is written in."""

    def wake(self) -> None:
        """Tells that something was queued."""


class EventWriter:
    """Writes records; used by one thread at a time.

    Args:
        database: Where to.
        pictures: Whose oldest make room where there is none.
        queues: Are offered each record.
        clock: Seconds of a clock that is never set.

    Attributes:
        listeners: Called with each record once it is written; what they raise is logged.
        state: Why records wait; "" where none does.
        lost: How many are lost for good.
    """

    def __init__(
        self, database: Database, pictures: Pictures, queues: Offering, clock: Callable[[], float]
    ) -> None:
        self.listeners: list[Listener] = []
        self.state = ""
        self.lost = 0
        self._database = database
        self._pictures = pictures
        self._queues = queues
        self._clock = clock
        self._waiting: deque[Told] = deque()
        self._aside = SetAside(database.path.with_name("waiting.jsonl"))
        self._is_aside = False  # whether some of what waits lies there
        self._next_try = 0.0
        self._room_after = 0.0
        self._shrunk = False
        self._singly = False

    @property
    def waiting(self) -> int:
        """How many records wait in memory."""
        return len(self._waiting)

    def take_in(self) -> dict[str, PassageRecord]:
        """Writes what the last service could not, before anything else is written.

        Returns:
            The last record of each passage that still waits, by its id.

        Raises:
            InputError: The file with it cannot be read.
        """
        found = self._aside.read()
        connection = self._database.reader()
        # A service that was killed as it took them in has written some.
        self._waiting.extend(one for one in found if not is_written(connection, one[0]))
        self._is_aside = bool(found)
        if found:
            _logger.info(
                "%s: %s of the last service to be written now",
                self._aside.path,
                counted(len(found), "events"),
            )
        self.retry(now=True, seconds=math.inf)
        self._forget_aside()
        return {record.id: record for record, _ in self._waiting}

    def set_aside(self) -> None:
        """Keeps what waits in a file until the next start; the service ends."""
        if not self._waiting:
            return
        try:
            self._aside.write(self._waiting)
        except EdgeLprError as e:
            lost = f"{counted(len(self._waiting), 'events')} lost with the end of the service"
            _logger.log(logging.ERROR, "%s: %s", lost, e)
        else:
            kept = counted(len(self._waiting), "events")
            _logger.warning("%s kept in %s until the next start", kept, self._aside.path)

    def write(self, record: PassageRecord, pictures: Sequence[Picture]) -> bool:
        """Writes a record after all that waits.

        Args:
            record: The record.
            pictures: The pictures that were written for it.

        Returns:
            Whether it is on the disk; else it waits.
        """
        self.add(record, pictures)
        self.retry()
        return not self._waiting

    def add(self, record: PassageRecord, pictures: Sequence[Picture]) -> None:
        """Has a record wait for `retry`, where many are to be written together; see `write`."""
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft()
            self.lost += 1
        self._waiting.append((record, pictures))

    def retry(self, now: bool = False, seconds: float = _TURN) -> None:
        """Writes what waits, if it is time for the next try.

        Args:
            now: It is.
            seconds: After which the rest is left for the next time.
        """
        until = self._clock() + seconds
        while self._waiting and (now or self._clock() >= self._next_try):
            if self._clock() >= until:
                return
            batch = [
                self._waiting[i] for i in range(min(1 if self._singly else _AT_ONCE, len(self._waiting)))
            ]
            try:
                self._commit(batch)
            except sqlite3.ProgrammingError:
                raise
            except _UNFIT as e:
                self._left_out(batch, e)
                continue
            except sqlite3.Error as e:
                if _is_for_room(e, self._database.path.parent) and self._made_room():
                    continue
                self._failed(e)
                return
            for _ in batch:
                self._waiting.popleft()
            self._written(batch)

    def note(self, picture: Picture) -> None:
        """Writes down that a picture was replaced, where the disk takes it: no event depends on that."""
        try:
            with self._database.transaction() as tx:
                note(tx, picture)
        except sqlite3.OperationalError:
            return

    def _made_room(self) -> bool:
        """Makes room on a disk that may be full; tells whether another try is worth it."""
        self._pictures.pause()  # what is free now is for events
        before, self._room_after = (
            self._room_after,
            make_room(self._database, self._pictures, self._room_after),
        )
        if self._room_after > before or not self._shrunk:
            self._shrunk = True
            with suppress(sqlite3.Error):
                self._database.shrink_log()
            return True
        return False

    def _commit(self, batch: Sequence[Told]) -> None:
        with self._database.transaction() as tx:
            for record, pictures in batch:
                write_event(tx, record)
                for picture in pictures:
                    note(tx, picture)
                self._queues.offer(tx, record)

    def _forget_aside(self) -> None:
        if self._is_aside and not self._waiting:
            with suppress(OSError):  # then it is passed over the next time
                self._aside.remove()
            self._is_aside = False

    def _written(self, batch: Sequence[Told]) -> None:
        self._forget_aside()
        if self.state and not self._waiting:
            lost = f"; {self.lost} were lost" if self.lost else ""
            _logger.warning("events are written again, none waits%s", lost)
            self.state = ""
        self._next_try = self._room_after = 0.0
        self._shrunk = False
        self._singly = self._singly and bool(self._waiting)
        self._queues.wake()
        for record, _ in batch:
            for listener in self.listeners:
                try:
                    listener(record)
                except Exception:  # whoever listens does not end the writing
                    _logger.exception("a listener failed at event %s/%d", record.id, record.revision)

    def _left_out(self, batch: Sequence[Told], error: Exception) -> None:
        """Leaves a record out that no database takes, however often it is tried; else none after it came."""
        if len(batch) > 1:
            self._singly = True  # to find out which it is
            return
        record, _ = self._waiting.popleft()
        self.lost += 1
        self._singly = bool(self._waiting)
        told = one_line(error, named=True)
        _logger.error("event %s/%d cannot be kept and is lost: %s", record.id, record.revision, told)

    def _failed(self, error: sqlite3.Error) -> None:
        self._next_try = self._clock() + _PAUSE
        self._shrunk = False
        if not self.state:
            _logger.error(
                "%s: cannot be written (%s): events wait in memory, at most %d; %s",
                self._database.path,
                one_line(error),
                MAX_WAITING,
                _remedy(error),
            )
        self.state = f"events cannot be written: {one_line(error)}"


def _remedy(error: sqlite3.Error) -> str:
    if is_held(error):
        return "end what holds it"
    if is_damaged(error):
        return f"end the service and {MEND}"
    return "make room on the disk" if "full" in str(error) else "look at the disk"


def _is_for_room(error: sqlite3.Error, folder: Path) -> bool:
    """Tells whether the disk is full: only then are pictures deleted for an event.

    SQLite says "disk I/O error" of a quota that is used up, and of all that is wrong with a disk; whether it
    takes anything is tried then.
    """
    if "full" in str(error):
        return True
    if "disk I/O error" not in str(error):
        return False
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as probe:
            probe.write(bytes(_PROBE))
            os.fsync(probe.fileno())
    except OSError as e:
        return e.errno in (errno.ENOSPC, errno.EDQUOT)
    return False
