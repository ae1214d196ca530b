"""Pictures of passages on the disk: a crop and one whole frame each, as JPEG, in a folder for each day."""

from __future__ import annotations

import logging
import math
import re
import shutil
import sqlite3
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from edge_lpr.errors import OutputError, one_line
from edge_lpr.io.file_names import PART
from edge_lpr.io.image_io import write_image
from edge_lpr.serve.database import Database
from edge_lpr.serve.settings import RetentionSettings
from edge_lpr.types import Image

__all__ = ["SCHEMA", "Kind", "Picture", "Pictures", "note"]

SCHEMA: tuple[str, ...] = (
    """CREATE TABLE IF NOT EXISTS pictures (
        path TEXT PRIMARY KEY,
        event TEXT NOT NULL,
        written REAL NOT NULL,
        bytes INTEGER NOT NULL
    )""",
    "CREATE INDEX IF NOT EXISTS pictures_written ON pictures (written)",
    "CREATE INDEX IF NOT EXISTS pictures_event ON pictures (event)",
)
"""What is known of the pictures without looking at the disk."""
Kind = Literal["crop", "frame"]
_QUALITY: dict[Kind, int] = {"crop": 95, "frame": 85}
_PATH = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}/[A-Za-z0-9][A-Za-z0-9._-]{0,120}-(?:crop|frame)\.jpg", re.ASCII
)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_GIGABYTE = 1e9
_PAUSE = 60.0  # seconds
# Pictures without rows are looked for in so many of the last days' folders.
_DAYS_LOOKED_AT = 3
_SLACK = 2.0  # seconds by which they may be older than the newest that has a row

_logger = logging.getLogger("edge_lpr")


@dataclass(frozen=True)
class Picture:
    """A picture that was written.

    Attributes:
        path: Relative to the folder of pictures.
        event: The id of the passage; "" where none is known.
        written: When, by the clock that ages what is kept (`edge_lpr.serve.age_clock`).
        bytes: Its size.
    """

    path: str
    event: str
    written: float
    bytes: int


class Pictures:
    """The folder of pictures.

    A picture is worth less than the event that it belongs to: where the disk is full, or cannot be written,
    there is none, which is said once, and again when it is over.

    Once one cannot be written, none is for a minute: the little room that there may be is for events.

    Args:
        folder: The folder; made where it is missing.
        retention: Says how much room is left to others.
        clock: Seconds of a clock that is never set.
        ages: The time that stands with each picture; see `AgeClock.now`.

    Attributes:
        folder: The folder.
        state: Why no pictures are written; "" where they are.
        dropped: How many were not written.
    """

    def __init__(
        self,
        folder: Path,
        retention: RetentionSettings,
        clock: Callable[[], float] = time.monotonic,
        ages: Callable[[], float] = time.time,
    ) -> None:
        self.folder = folder
        self.state = ""
        self.dropped = 0
        self._before = 0
        self._retention = retention
        self._clock = clock
        self._ages = ages
        self._paused_until = -math.inf

    def reload(self, retention: RetentionSettings) -> None:
        """Heeds other settings from now on."""
        self._retention = retention
        self._paused_until = -math.inf

    def pause(self) -> None:
        """Writes no pictures for a minute."""
        self._paused_until = self._clock() + _PAUSE

    def put(self, event: str, day: str, kind: Kind, image: Image, path: str = "") -> Picture | None:
        """Writes a picture.

        Args:
            event: The passage's id, which its name begins with.
            day: The day of the passage, 2026-11-27.
            kind: Which of its pictures.
            image: uint8 H×W×3 BGR.
            path: The one that it replaces, as `Picture.path`; "" for none.

        Returns:
            What was written; None where nothing could be, and `state` says why.
        """
        if self._clock() < self._paused_until:
            self._drop(self.state or "no pictures are kept: the disk is full")
            return None
        path = path or f"{day}/{_file_name(event)}-{kind}.jpg"
        try:
            target = self.folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            self._check_room()
            size = write_image(target, image, _QUALITY[kind])  # no wait for the disk: cameras would wait too
        except (OSError, OutputError) as e:
            self.pause()
            self._drop(f"no pictures are kept: {e}")
            return None
        self._say("")
        return Picture(path, event, self._ages(), size)

    def open_path(self, relative: str) -> Path | None:
        """Returns the path of a picture; None where there is no such picture, or the name leads elsewhere."""
        if not _PATH.fullmatch(relative):
            return None
        path = self.folder / relative
        try:
            inside = path.resolve().is_relative_to(self.folder.resolve())
        except OSError:
            return None
        return path if inside and path.is_file() else None

    def remove(self, relative: str) -> None:
        """Deletes a picture, and the folder of its day where that is empty then; nothing where it is gone."""
        if not _PATH.fullmatch(relative):
            return
        path = self.folder / relative
        try:
            path.unlink(missing_ok=True)
            path.parent.rmdir()
        except OSError:  # others are in it, or it cannot be deleted: the next time
            return

    def free(self) -> float:
        """Returns the room on the disk, in gigabytes."""
        there = next(p for p in (self.folder, *self.folder.absolute().parents) if p.exists())
        return shutil.disk_usage(there).free / _GIGABYTE

    def adopt_strays(self, database: Database) -> int:
        """Writes down pictures that no event knows of: they are kept as long as any that are written now.

        A process that was killed as it wrote leaves some, and so does an older copy of the database put back:
        those of all events since. Nothing tells the ones from the others. What is half a picture is deleted.

        Looked for in the folders of the last days, and since the last picture that is known, so that it takes
        no longer after years. Where the database knows none of them, it is another one than theirs, and they
        stay as they are.

        Args:
            database: The database that has `SCHEMA`.

        Returns:
            How many there were.
        """
        if not self.folder.is_dir():
            return 0
        reader = database.reader()
        last = str(reader.execute("SELECT COALESCE(MAX(path), 'none') FROM pictures").fetchone()[0])
        days = sorted(p.name for p in self.folder.iterdir() if _DAY.fullmatch(p.name))
        since = [day for day in days if day >= last[: len(day)]]
        newest, unknown = -math.inf, []
        for day in days[-max(_DAYS_LOOKED_AT, len(since)) :]:
            rows = reader.execute(
                "SELECT path FROM pictures WHERE path >= ? AND path < ?", (f"{day}/", f"{day}0")
            )
            known = {row[0] for row in rows}
            for path in (self.folder / day).iterdir():
                name = f"{day}/{path.name}"
                if name in known:
                    newest = max(newest, _written(path))
                elif PART.fullmatch(path.name):
                    with suppress(OSError):
                        path.unlink()
                elif _PATH.fullmatch(name):
                    unknown.append(path)
        if unknown and newest == -math.inf:
            _logger.warning(
                "%s: no picture in it is known to events.db: they are neither shown nor ever deleted; move "
                "them away, or put the events.db that they belong to back",
                self.folder,
            )
            return 0
        # Pictures of events that were in another database are older than what this one has.
        strays = [path for path in unknown if _written(path) > newest - _SLACK]
        if strays:
            self._adopt(strays, database)
        return len(strays)

    def _adopt(self, strays: Sequence[Path], database: Database) -> None:
        now = self._ages()
        try:
            with database.transaction() as tx:
                for path in strays:
                    note(tx, Picture(f"{path.parent.name}/{path.name}", "", now, path.stat().st_size))
        except (sqlite3.OperationalError, OSError) as e:  # the next start tries again
            _logger.warning("%s: pictures of no event cannot be written down: %s", self.folder, one_line(e))
            return
        _logger.warning(
            "%s: pictures of no event in events.db, as a kill or an older copy of it leaves, are kept until "
            "they are due: %d",
            self.folder,
            len(strays),
        )

    def _check_room(self) -> None:
        free, least = self.free(), self._retention.free_gigabytes
        if free < least:
            raise OutputError(
                f"{self.folder}: {free:.1f} GB are free, less than free_gigabytes = {least:g}; make room, or "
                "lower picture_days or picture_gigabytes"
            )

    def _drop(self, why: str) -> None:
        self.dropped += 1
        self._say(why)

    def _say(self, state: str) -> None:
        if bool(state) != bool(self.state):
            if state:
                _logger.warning("%s", state)
                self._before = self.dropped - 1
            else:
                _logger.warning("pictures are kept again; %d were dropped", self.dropped - self._before)
        self.state = state


def note(tx: sqlite3.Connection, picture: Picture) -> None:
    """Writes down that there is a picture, in the transaction of the event that it belongs to."""
    tx.execute(
        "INSERT OR REPLACE INTO pictures (path, event, written, bytes) VALUES (?, ?, ?, ?)",
        (picture.path, picture.event, picture.written, picture.bytes),
    )


def _written(path: Path) -> float:
    """Returns when a file was written last, in seconds since the epoch; that of none is long ago."""
    try:
        return path.stat().st_mtime
    except OSError:
        return -math.inf


def _file_name(event: str) -> str:
    """Makes a name of an id, which may be anything: no path, and no other id's."""
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}", event):
        return event
    return str(uuid.uuid5(uuid.NAMESPACE_OID, event))
