"""What is kept for how long: the oldest goes first, by rows and not by walking folders."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.stored_passages import NOON, database, event, fill, frame

from edge_lpr.serve.age_clock import AgeClock
from edge_lpr.serve.database import Database
from edge_lpr.serve.pictures import Pictures, note
from edge_lpr.serve.retention import Retention, make_room
from edge_lpr.serve.settings import RetentionSettings
from edge_lpr.serve.store import EventStore

DAY = 86_400.0
START = NOON.timestamp()


class Time:
    """The machine's clock, which may be set, and one that nobody sets."""

    def __init__(self) -> None:
        self.wall = START
        self.steady = 1000.0

    def go_on(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds

    def clock(self, base: Database) -> AgeClock:
        return AgeClock(base, lambda: self.wall, lambda: self.steady)


class Kept:
    """So many events, one a day since the start, each with a crop of so many bytes as the database knows."""

    def __init__(self, folder: Path, count: int = 10, size: int = 1000, **settings: Any) -> None:
        every = {"event_days": 0, "picture_days": 0, "picture_gigabytes": 0, "free_gigabytes": 0, **settings}
        self.settings = RetentionSettings.model_validate(every)
        self.time = Time()
        self.base = database(folder / "events.db")
        self.folder = folder / "pictures"
        self.start()
        for i in range(count):
            self.write(i, size)
            self.time.go_on(3600)
            self.ages.advance()  # as with each cleaning
            self.time.go_on(DAY - 3600)

    def start(self) -> None:
        """The service starts."""
        self.ages = self.time.clock(self.base)
        self.pictures = Pictures(
            self.folder, RetentionSettings.model_validate({"free_gigabytes": 0}), ages=self.ages.now
        )
        self.retention = Retention(self.base, self.pictures, self.settings, self.ages)

    def write(self, number: int, size: int = 1000) -> None:
        """A passage, one of each day, with its crop."""
        put = self.pictures.put(f"passage-{number * 1440}", f"2026-12-{number + 1:02}", "crop", frame()[:30])
        assert put is not None
        fill(self.base, event(number * 1440, crop=put.path))
        with self.base.transaction() as tx:
            note(tx, replace(put, bytes=size))

    def count(self) -> int:
        return EventStore(self.base).count()

    def run(self, days: float) -> None:
        """The service runs for so long."""
        for _ in range(round(days * 24)):
            self.time.go_on(3600)
            self.retention.clean()


def kept(
    folder: Path, count: int = 10, size: int = 1000, **settings: Any
) -> tuple[Database, Pictures, Retention]:
    made = Kept(folder, count, size, **settings)
    return made.base, made.pictures, made.retention


def days(pictures: Pictures) -> list[int]:
    """The days of which there are pictures."""
    return sorted(int(path.name[-2:]) - 1 for path in pictures.folder.iterdir())


def rows(base: Database) -> int:
    return int(base.reader().execute("SELECT count(*) FROM pictures").fetchone()[0])


def test_nothing_goes_where_nothing_is_limited(tmp_path: Path) -> None:
    base, pictures, retention = kept(tmp_path)
    assert retention.clean() == (0, 0)
    assert len(days(pictures)) == rows(base) == EventStore(base).count() == 10


def test_pictures_by_days_events_stay(tmp_path: Path) -> None:
    base, pictures, retention = kept(tmp_path, picture_days=3)
    assert retention.clean() == (0, 7)
    assert days(pictures) == [7, 8, 9]
    assert (rows(base), EventStore(base).count()) == (3, 10)
    assert retention.clean() == (0, 0)


def test_a_corrected_event_is_no_younger(tmp_path: Path) -> None:
    base, _, retention = kept(tmp_path, event_days=2)
    store = EventStore(base)
    for text in ("京A12345", "京A12346", ""):
        store.correct("passage-0", text, "me")
        store.correct("passage-12960", text, "me")  # the last but one: not due yet
    retention.clean()
    assert store.get("passage-0") is None
    assert store.get("passage-12960") is not None
    assert store.count() == 2
    assert (
        base.reader().execute("SELECT event FROM before_correction").fetchall()[0]["event"] == "passage-12960"
    )


@pytest.mark.parametrize("limit", ["picture_days", "event_days"])
def test_pictures_of_events_later_than_a_copy_of_the_database_go_by_age_from_when_they_were_found(
    tmp_path: Path, limit: str
) -> None:
    made = Kept(tmp_path, 5, **{limit: 3})
    copy = sqlite3.connect(tmp_path / "copy.db")
    with closing(copy):
        made.base.reader().backup(copy)
    made.write(5)
    made.base.close()
    for path in tmp_path.glob("events.db*"):
        path.unlink()
    (tmp_path / "copy.db").rename(tmp_path / "events.db")
    made.base = database(tmp_path / "events.db")
    made.start()
    assert made.pictures.adopt_strays(made.base) == 1
    made.run(1.9)  # the clock makes up for the day since the copy
    assert 5 in days(made.pictures)
    made.run(1.2)
    assert 5 not in days(made.pictures)


def test_pictures_by_bytes_the_oldest_first(tmp_path: Path) -> None:
    base, pictures, retention = kept(tmp_path, picture_gigabytes=4.5e-6)
    assert retention.clean() == (0, 6)
    assert days(pictures) == [6, 7, 8, 9] and rows(base) == 4


def test_events_by_days_with_their_pictures(tmp_path: Path) -> None:
    base, pictures, retention = kept(tmp_path, event_days=2)
    assert retention.clean() == (8, 0)
    assert EventStore(base).count() == 2
    # Their pictures' rows go too.
    assert days(pictures) == [8, 9] and rows(base) == 2


def test_a_passage_that_goes_on_stays(tmp_path: Path) -> None:
    base, _, retention = kept(tmp_path, event_days=0.5)
    with base.transaction() as tx:
        tx.execute("UPDATE events SET state = 'update' WHERE id = 'passage-0'")
    retention.clean()
    assert [one.record.id for one in EventStore(base).changes(0)] == ["passage-0"]


def test_where_others_fill_the_disk_pictures_go_but_not_the_last_day_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Kept(tmp_path, free_gigabytes=5)
    made.write(10)
    made.time.go_on(60)
    monkeypatch.setattr(made.pictures, "free", lambda: 4.0)
    assert made.retention.clean() == (0, 10)
    assert days(made.pictures) == [10]
    monkeypatch.setattr(made.pictures, "free", lambda: 6.0)
    made.time.go_on(50 * DAY)
    assert made.retention.clean() == (0, 0)


def test_many_go_in_small_transactions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Kept(tmp_path, 0, picture_days=1)
    base, pictures, retention = made.base, made.pictures, made.retention
    retention.clean()
    made.time.go_on(DAY + 5000)
    with base.transaction() as tx:
        for i in range(1000):
            tx.execute("INSERT INTO pictures VALUES (?, 'x', ?, 1)", (f"2026-11-27/{i}-crop.jpg", START + i))
    sizes: list[int] = []
    transaction = base.transaction

    def counted() -> Any:
        sizes.append(rows(base))
        return transaction()

    monkeypatch.setattr(base, "transaction", counted)
    monkeypatch.setattr(os, "scandir", lambda *_: pytest.fail("a folder was walked"))
    assert retention.clean() == (0, 1000)
    assert sizes == [1000, 1000, 800, 600, 400, 200]  # the first notes how old all is
    assert pictures.dropped == 0


def test_a_row_whose_file_is_gone_goes_too(tmp_path: Path) -> None:
    base, pictures, retention = kept(tmp_path, 3, picture_days=1.5)
    pictures.remove("2026-12-01/passage-0-crop.jpg")
    assert retention.clean() == (0, 2)
    assert rows(base) == 1


def test_room_is_made_of_the_oldest_pictures(tmp_path: Path) -> None:
    base, pictures, _ = kept(tmp_path, size=10_000_000)
    after = make_room(base, pictures, 0.0)
    assert days(pictures) == [4, 5, 6, 7, 8, 9] and rows(base) == 10
    after = make_room(base, pictures, after)
    assert days(pictures) == [8, 9]
    after = make_room(base, pictures, after)
    assert not pictures.folder.exists() or days(pictures) == []
    assert make_room(base, pictures, after) == after


@pytest.mark.parametrize("years", [1e-1, 10.0])
def test_a_clock_that_is_set_ahead_deletes_nothing(
    tmp_path: Path, years: float, caplog: pytest.LogCaptureFixture
) -> None:
    """While the service runs, and where it starts so; nor does putting it right."""
    made = Kept(tmp_path, event_days=30, picture_days=30)
    step = years * 365 * DAY
    made.time.wall += step
    made.run(1)
    assert made.count() == rows(made.base) == 10
    assert ("days have gone in which the service did not run" in made.ages.state) == (years < 1)
    assert ("made up" in caplog.text) == (years < 1) == (made.ages.ahead > 30 * DAY)
    made.start()
    made.run(1)
    assert made.count() == rows(made.base) == 10
    made.time.wall -= step
    made.run(1)
    made.start()
    made.run(1)
    assert made.count() == rows(made.base) == 10 and made.ages.state == "" and made.ages.ahead == 0


def test_a_machine_that_begins_in_1970_deletes_nothing_and_keeps_what_it_saw_then(tmp_path: Path) -> None:
    made = Kept(tmp_path, event_days=30, picture_days=30)
    right = made.time.wall + 2 * DAY
    made.time.wall = 5.0
    made.start()
    made.run(1 / 24)
    first = made.pictures.put("of-1970", "1970-01-01", "crop", frame()[:30])
    assert first is not None
    fill(made.base, event(99, id="of-1970", first_utc="1970-01-01T01:00:00.000Z", crop=first.path))
    with made.base.transaction() as tx:
        note(tx, first)
    made.time.wall = right
    made.run(2)
    assert made.count() == rows(made.base) == 11
    # Nor does a service whose very first start is in 1970.
    (tmp_path / "other").mkdir()
    other = Kept(tmp_path / "other", 0, event_days=30)
    other.time.wall = 5.0
    other.start()
    other.write(1)
    other.run(1)
    other.time.wall = right
    other.run(5)
    assert other.count() == 1


def test_what_is_due_goes_also_where_the_machine_was_off_meanwhile(tmp_path: Path) -> None:
    made = Kept(tmp_path, 1, event_days=10, picture_days=10)
    made.time.wall += 8 * DAY
    made.start()
    made.run(1)  # in which four are made up
    assert made.count() == rows(made.base) == 1
    made.run(2)
    assert made.count() == rows(made.base) == 0


def test_events_and_pictures_that_are_due_go_within_the_hour(tmp_path: Path) -> None:
    made = Kept(tmp_path, 3, event_days=5, picture_days=4)
    made.run(1)
    assert (made.count(), rows(made.base)) == (3, 3)
    made.run(1.1)
    assert (made.count(), rows(made.base)) == (2, 1)
    made.run(1)
    assert (made.count(), rows(made.base)) == (1, 0)
    marks = made.base.reader().execute("SELECT count(*) FROM ages").fetchone()[0]
    assert marks < 24 * 6, "what nobody asks for any more is forgotten"


def test_an_older_copy_of_the_database_costs_no_picture_before_its_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = Kept(tmp_path, count=3, picture_days=10)
    made.base.close()
    copy = (tmp_path / "events.db").read_bytes()
    made.base = database(tmp_path / "events.db")
    made.start()
    for number in range(3, 8):
        made.write(number)
    made.base.close()
    for suffix in ("-wal", "-shm"):
        (tmp_path / f"events.db{suffix}").unlink(missing_ok=True)
    (tmp_path / "events.db").write_bytes(copy)
    made.base = database(tmp_path / "events.db")
    made.start()
    assert made.pictures.adopt_strays(made.base) == 5
    assert "are kept until they are due: 5" in caplog.text
    assert days(made.pictures) == list(range(8)) and rows(made.base) == 8
    made.run(9)
    assert days(made.pictures) == [2, 3, 4, 5, 6, 7]
    made.run(2)
    assert days(made.pictures) == []
