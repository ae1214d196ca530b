"""What is kept for how long: the oldest goes first, by rows and not by walking folders."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers.stored_passages import NOON, database, event, fill, frame

from edge_lpr.serve.database import Database
from edge_lpr.serve.pictures import Pictures, note
from edge_lpr.serve.retention import Retention, make_room
from edge_lpr.serve.settings import RetentionSettings
from edge_lpr.serve.store import EventStore

DAY = 86_400.0
START = NOON.timestamp()


def kept(
    folder: Path, count: int = 10, size: int = 1000, **settings: Any
) -> tuple[Database, Pictures, Retention]:
    """So many events, one a day since the start, each with a crop of so many bytes as the database knows."""
    every = {"event_days": 0, "picture_days": 0, "picture_gigabytes": 0, "free_gigabytes": 0, **settings}
    retention = RetentionSettings.model_validate(every)
    base = database(folder / "events.db")
    pictures = Pictures(folder / "pictures", RetentionSettings.model_validate({"free_gigabytes": 0}))
    for i in range(count):
        put = pictures.put(f"passage-{i * 1440}", f"2026-12-{i + 1:02}", "crop", frame()[:30])
        assert put is not None
        fill(base, event(i * 1440, crop=put.path))
        with base.transaction() as tx:
            note(tx, replace(put, written=START + i * DAY, bytes=size))
    return base, pictures, Retention(base, pictures, retention)


def days(pictures: Pictures) -> list[int]:
    """The days of which there are pictures."""
    return sorted(int(path.name[-2:]) - 1 for path in pictures.folder.iterdir())


def rows(base: Database) -> int:
    return int(base.reader().execute("SELECT count(*) FROM pictures").fetchone()[0])


def test_nothing_goes_where_nothing_is_limited(tmp_path: Path) -> None:
    base, pictures, retention = kept(tmp_path)
    assert retention.clean(START + 1e9) == (0, 0)
    assert len(days(pictures)) == rows(base) == EventStore(base).count() == 10


def test_pictures_by_days_events_stay(tmp_path: Path) -> None:
    base, pictures, retention = kept(tmp_path, picture_days=3)
    assert retention.clean(START + 9 * DAY + 1) == (0, 7)
    assert days(pictures) == [7, 8, 9]
    assert (rows(base), EventStore(base).count()) == (3, 10)
    assert retention.clean(START + 9 * DAY + 1) == (0, 0)


def test_pictures_by_bytes_the_oldest_first(tmp_path: Path) -> None:
    base, pictures, retention = kept(tmp_path, picture_gigabytes=4.5e-6)
    assert retention.clean(START) == (0, 6)
    assert days(pictures) == [6, 7, 8, 9] and rows(base) == 4


def test_events_by_days_with_their_pictures(tmp_path: Path) -> None:
    base, pictures, retention = kept(tmp_path, event_days=2)
    assert retention.clean(START + 9 * DAY + 1) == (8, 0)
    assert EventStore(base).count() == 2
    # Their pictures' rows go too.
    assert days(pictures) == [8, 9] and rows(base) == 2


def test_a_passage_that_goes_on_stays(tmp_path: Path) -> None:
    base, _, retention = kept(tmp_path, event_days=1)
    fill(base, event(0, state="update"))
    retention.clean(START + 100 * DAY)
    assert [one.record.id for one in EventStore(base).changes(0)] == ["passage-0"]


def test_where_others_fill_the_disk_pictures_go_but_not_the_last_day_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, pictures, retention = kept(tmp_path, free_gigabytes=5)
    monkeypatch.setattr(pictures, "free", lambda: 4.0)
    assert retention.clean(START + 9 * DAY + 60) == (0, 9)
    assert days(pictures) == [9]
    monkeypatch.setattr(pictures, "free", lambda: 6.0)
    assert retention.clean(START + 50 * DAY) == (0, 0)


def test_many_go_in_small_transactions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base, pictures, retention = kept(tmp_path, 0, picture_days=1)
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
    assert retention.clean(START + 5000 + DAY) == (0, 1000)
    assert sizes == [1000, 800, 600, 400, 200]
    assert pictures.dropped == 0


def test_a_row_whose_file_is_gone_goes_too(tmp_path: Path) -> None:
    base, pictures, retention = kept(tmp_path, 3, picture_days=1)
    pictures.remove("2026-12-01/passage-0-crop.jpg")
    assert retention.clean(START + 2 * DAY + 1) == (0, 2)
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
