"""The writing of events: all of one or nothing, and none is lost where the disk is full."""

from __future__ import annotations

import errno
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from helpers.held_database import held
from helpers.small_disk import small_disk
from helpers.stored_passages import Clock, NotingQueues, database, event, frame, noted, settings, track

from edge_lpr.errors import InputError
from edge_lpr.serve import event_writer
from edge_lpr.serve.database import Database
from edge_lpr.serve.event_writer import EventWriter
from edge_lpr.serve.lists import Lists
from edge_lpr.serve.passages import Passages
from edge_lpr.serve.pictures import Picture, Pictures, note
from edge_lpr.serve.record import PassageRecord
from edge_lpr.serve.settings import RetentionSettings
from edge_lpr.serve.store import EventStore

DAMAGED = "database disk image is malformed", "file is not a database"  # as SQLite says it
NO_LIMIT = RetentionSettings.model_validate({"free_gigabytes": 0})


class Writing:
    """A writer over a database that can be made to fail."""

    def __init__(self, folder: Path) -> None:
        self.base = database(folder / "events.db")
        self.pictures = Pictures(folder / "pictures", NO_LIMIT)
        self.clock = Clock()
        self.queues = NotingQueues()
        self.writer = EventWriter(self.base, self.pictures, self.queues, self.clock)
        self.told: list[PassageRecord] = []
        self.writer.listeners.append(self.told.append)

    def write(self, *numbers: int) -> list[bool]:
        return [self.writer.write(event(number), ()) for number in numbers]

    def old_picture(self) -> Picture:
        put = self.pictures.put("old", "2026-11-26", "frame", frame())
        assert put is not None
        with self.base.transaction() as tx:
            note(tx, put)
        return put

    def ids(self) -> list[str]:
        return [one.record.id for one in EventStore(self.base).changes(0, 1000)]


class FullDisk:
    """Lets no transaction of a database be written, at its beginning or as it is committed."""

    def __init__(self, base: Database, monkeypatch: pytest.MonkeyPatch, late: bool) -> None:
        self.full = True
        self.tries = 0
        real = base.transaction

        @contextmanager
        def transaction() -> Iterator[sqlite3.Connection]:
            self.tries += self.full
            if self.full and not late:
                raise sqlite3.OperationalError("disk I/O error")
            with real() as tx:
                yield tx
                if self.full:
                    raise sqlite3.OperationalError("database or disk is full")

        monkeypatch.setattr(base, "transaction", transaction)


@pytest.mark.parametrize("late", [False, True])
def test_events_wait_in_their_order_until_they_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, late: bool
) -> None:
    writing = Writing(tmp_path)
    assert writing.write(0) == [True]
    disk = FullDisk(writing.base, monkeypatch, late)
    with caplog.at_level(logging.WARNING, "edge_lpr"):
        assert writing.write(1, 2, 3) == [False] * 3
        # Not with each event: once a second, and where there is no room, again with a shorter log.
        assert disk.tries == 1 + late
        assert writing.writer.waiting == 3 and "events cannot be written" in writing.writer.state
        disk.full = False
        writing.writer.retry()
        assert writing.writer.waiting == 3
        writing.clock.now += 1.1
        assert writing.write(4) == [True]
    assert writing.ids() == [f"passage-{i}" for i in range(5)] == [one.id for one in writing.told]
    assert [name for name, _, _ in noted(writing.base)] == writing.ids()
    assert writing.writer.state == "" and writing.queues.woken == 2
    said = [record.message for record in caplog.records]
    assert len(said) == 2 and "events wait in memory" in said[0] and "written again" in said[1]


def test_what_fails_in_the_queues_writes_no_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writing = Writing(tmp_path)

    def offer(tx: sqlite3.Connection, record: PassageRecord) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(writing.queues, "offer", offer)
    assert writing.write(0) == [False]
    assert writing.ids() == [] and not writing.told


def test_memory_is_bounded_and_what_is_lost_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(event_writer, "MAX_WAITING", 3)
    writing = Writing(tmp_path)
    disk = FullDisk(writing.base, monkeypatch, False)
    writing.write(0, 1, 2, 3, 4)
    disk.full = False
    writing.writer.retry(now=True)
    assert writing.ids() == ["passage-2", "passage-3", "passage-4"]
    assert writing.writer.lost == 2 and "2 were lost" in caplog.text


def test_pictures_go_before_an_event_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writing = Writing(tmp_path)
    for i in range(3):
        put = writing.pictures.put(f"old-{i}", "2026-11-26", "frame", frame())
        assert put is not None
        with writing.base.transaction() as tx:
            note(tx, put)
    disk = FullDisk(writing.base, monkeypatch, True)
    removed: list[str] = []

    def remove(relative: str) -> None:
        removed.append(relative)
        disk.full = len(removed) < 3

    monkeypatch.setattr(writing.pictures, "remove", remove)
    assert writing.write(0) == [True]
    assert removed == [f"2026-11-26/old-{i}-frame.jpg" for i in range(3)]


@pytest.mark.parametrize(
    "why",
    [
        *("database is locked", "attempt to write a readonly database"),
        *("disk I/O error", "unable to open database file", *DAMAGED),
    ],
)
def test_no_picture_goes_for_a_database_that_more_room_does_not_help(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    writing = Writing(tmp_path)
    put = writing.old_picture()
    with monkeypatch.context() as held:

        def transaction() -> None:
            raise (sqlite3.DatabaseError if why in DAMAGED else sqlite3.OperationalError)(why)

        held.setattr(writing.base, "transaction", transaction)
        assert writing.write(0) == [False]
    assert writing.pictures.open_path(put.path) is not None
    assert writing.pictures.put("new", "2026-11-26", "frame", frame()) is not None, "the disk has room"
    writing.writer.retry(now=True)
    assert writing.ids() == ["passage-0"]


def test_pictures_go_for_a_quota_that_is_used_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writing = Writing(tmp_path)
    put = writing.old_picture()
    FullDisk(writing.base, monkeypatch, False)

    def no_room(number: int) -> None:
        raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))

    monkeypatch.setattr(os, "fsync", no_room)
    assert writing.write(0) == [False]
    assert writing.pictures.open_path(put.path) is None


def test_a_damaged_database_costs_no_picture_and_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    writing = Writing(tmp_path)
    put = writing.old_picture()
    writing.base.shrink_log()
    rows = writing.base.reader().execute("SELECT rootpage FROM sqlite_master WHERE tbl_name = 'events'")
    pages = [page for (page,) in rows]
    size = writing.base.reader().execute("PRAGMA page_size").fetchone()[0]
    writing.base.close()
    with (tmp_path / "events.db").open("r+b") as file:
        for page in pages:
            file.seek((page - 1) * size)
            file.write(b"\xa5" * size)
    writing = Writing(tmp_path)
    assert writing.write(0) == [False]
    assert writing.pictures.open_path(put.path) is not None
    assert "malformed" in writing.writer.state
    assert "move events.db, events.db-wal and events.db-shm away" in caplog.text


def test_what_a_held_database_did_not_take_until_the_end_is_in_it_after_the_next_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    writing = Writing(tmp_path)
    assert writing.write(0) == [True]
    picture = writing.pictures.put("passage-2", "2026-11-27", "crop", frame())
    assert picture is not None
    with held(tmp_path / "events.db"):
        assert writing.write(1) == [False]
        assert not writing.writer.write(event(2, crop=picture.path), [picture])
        assert "database is locked" in writing.writer.state and "end what holds it" in caplog.text
        writing.writer.set_aside()
    writing.base.close()
    again = Writing(tmp_path)
    kept_aside = (tmp_path / "waiting.jsonl").read_bytes()
    assert again.writer.take_in() == {}
    assert (
        again.ids() == ["passage-0", "passage-1", "passage-2"] and not (tmp_path / "waiting.jsonl").exists()
    )
    assert EventStore(again.base).get("passage-2").record == event(2, crop=picture.path)  # type: ignore[union-attr]
    rows = again.base.reader().execute("SELECT path FROM pictures").fetchall()
    assert [row["path"] for row in rows] == [picture.path]
    # One that was killed as it took them in takes in what is missing.
    (tmp_path / "waiting.jsonl").write_bytes(kept_aside)
    third = Writing(tmp_path)
    third.writer.take_in()
    assert len(noted(third.base)) == 3
    (tmp_path / "waiting.jsonl").write_text("nonsense\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"waiting\.jsonl:1: no event as the service writes it"):
        third.writer.take_in()


def test_a_record_that_no_database_takes_holds_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    writing = Writing(tmp_path)
    disk = FullDisk(writing.base, monkeypatch, False)
    bad = event(9, text="\ud800")  # no UTF-8
    assert writing.write(0) == [False] and not writing.writer.write(bad, ()) and writing.write(1) == [False]
    disk.full = False
    writing.writer.retry(now=True)
    assert writing.ids() == ["passage-0", "passage-1"] and writing.writer.waiting == 0
    assert writing.writer.lost == 1 and "event passage-9/1 cannot be kept and is lost" in caplog.text
    assert writing.write(2) == [True]


def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    """Eight megabytes: first pictures go, then events wait in memory, then all of them are written."""
    with small_disk(tmp_path, 8) as disk:
        (disk / "ballast").touch()
        base = database(disk / "events.db")
        pictures = Pictures(disk / "pictures", NO_LIMIT)
        clock = Clock()
        passages = Passages(base, pictures, Lists(), NotingQueues(), settings(same_plate_within=0), clock)
        rng = np.random.default_rng(0)
        noise = rng.integers(0, 255, (240, 320, 3), np.uint8)

        def drive(number: int) -> None:
            for state in ("new", "end"):
                passages.take("gate", track(f"京A{number:05}", state, f"track-{number}", crop=noise), noise)

        dropped_at = None
        for number in range(200):
            drive(number)
            if pictures.dropped and dropped_at is None:
                dropped_at = number
        assert dropped_at is not None and passages.waiting == 0, "pictures are dropped, events are not"
        # Somebody fills what is left, pictures' room too.
        with (disk / "ballast").open("ab", 0) as ballast:
            try:
                while True:
                    ballast.write(bytes(1 << 12))
            except OSError:
                pass
        for number in range(200, 500):
            drive(number)
            clock.now += 0.1
        assert passages.waiting > 0 and "events cannot be written" in passages.state
        # What is written can be looked at all the while.
        assert EventStore(base).count() >= 200
        (disk / "ballast").unlink()
        clock.now += 2
        passages.tick()
        waiting = passages.waiting
        base.close()
        again = database(disk / "events.db")
        count = EventStore(again).count()
        told = noted(again)
        again.close()
        assert (waiting, passages.state, passages.lost) == (0, "", 0)
        assert count == 500
        assert told == [(f"track-{n}", r, s) for n in range(500) for r, s in ((1, "new"), (2, "end"))]
