"""Passages: one new and one end each, joined where a plate comes back, and on the disk first."""

from __future__ import annotations

import logging
import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from helpers.stored_passages import NOON, Clock, NotingQueues, database, frame, noted, plate, settings, track

from edge_lpr.pipeline.wall_clock import iso
from edge_lpr.plates.read import Candidate
from edge_lpr.serve.database import Database
from edge_lpr.serve.delivery.queue import SCHEMA as QUEUE_SCHEMA
from edge_lpr.serve.delivery.queue import Queues
from edge_lpr.serve.lists import Lists
from edge_lpr.serve.passages import Passages
from edge_lpr.serve.pictures import Pictures
from edge_lpr.serve.record import PassageRecord
from edge_lpr.serve.settings import ListSettings, RetentionSettings, ServeSettings
from edge_lpr.serve.store import SCHEMA, EventStore


class Service:
    """Passages with a clock of their own, and what they told."""

    def __init__(self, folder: Path, lists: Lists | None = None, **camera: Any) -> None:
        self.folder = folder
        self.clock = Clock()
        self.base = database(folder / "events.db")
        self.queues = NotingQueues()
        self.pictures = Pictures(folder / "pictures", RetentionSettings.model_validate({"free_gigabytes": 0}))
        self.passages = Passages(
            self.base, self.pictures, lists or Lists(), self.queues, settings(**camera), self.clock
        )
        self.told: list[PassageRecord] = []
        self.passages.listeners.append(self.told.append)
        self.store = EventStore(self.base)

    def states(self) -> list[tuple[str, int]]:
        return [(one.state, one.revision) for one in self.told]


def test_a_passage_is_told_at_once_and_ends_once_it_does_not_come_back(tmp_path: Path) -> None:
    service = Service(tmp_path, same_plate_within=30)
    one = service.passages.take("gate", track(), frame())
    assert one is not None and (one.id, one.state, one.revision) == ("track-1", "new", 1)
    assert service.passages.take("gate", track(state="end", seconds=0), None) is None
    service.clock.now += 29
    service.passages.tick()
    assert service.states() == [("new", 1)]
    service.clock.now += 2
    service.passages.tick()
    assert service.states() == [("new", 1), ("end", 2)]
    assert service.told[-1].last_utc == iso(NOON + timedelta(seconds=2))
    assert noted(service.base) == [("track-1", 1, "new"), ("track-1", 2, "end")]
    assert service.passages.open_count() == 0


def test_without_a_time_to_come_back_the_end_is_told_with_the_track(tmp_path: Path) -> None:
    service = Service(tmp_path, same_plate_within=0)
    service.passages.take("gate", track(), frame())
    ended = service.passages.take("gate", track(state="end"), None)
    assert ended is not None and (ended.state, ended.revision) == ("end", 2)


def test_a_track_that_is_told_only_as_it_ends_has_new_and_end(tmp_path: Path) -> None:
    service = Service(tmp_path, same_plate_within=0)
    service.passages.take("gate", track(state="end"), None)
    assert service.states() == [("new", 1), ("end", 2)]


@pytest.mark.parametrize("text", ["京A12345", "京A1Z34S"])
def test_a_plate_that_comes_back_is_the_same_passage(tmp_path: Path, text: str) -> None:
    service = Service(tmp_path, same_plate_within=30)
    service.passages.take("gate", track(), frame())
    service.passages.take("gate", track(state="end"), None)
    service.clock.now += 20
    again = track(text, id="track-2", seconds=20, min_score=0.9, reads=4)
    assert service.passages.take("gate", again, frame()) is None
    service.clock.now += 100  # as long as it is in view, nothing ends
    service.passages.tick()
    assert service.passages.open_count("gate") == 1
    service.passages.take("gate", track(text, "end", "track-2", 20, 0.9, reads=6), None)
    service.clock.now += 31
    service.passages.tick()
    assert service.states() == [("new", 1), ("end", 2)]
    end = service.told[-1]
    assert (end.id, end.text, end.reads) == ("track-1", "京A12345", 3 + 6)
    assert (end.first_utc, end.last_utc) == (iso(NOON), iso(NOON + timedelta(seconds=22)))


def test_a_surer_reading_of_a_plate_that_comes_back_is_told(tmp_path: Path) -> None:
    service = Service(tmp_path, same_plate_within=30)
    service.passages.take("gate", track("京A1Z345", min_score=0.8), frame())
    service.passages.take("gate", track("京A1Z345", "end", min_score=0.8), None)
    told = service.passages.take("gate", track(id="track-2", min_score=0.99), frame())
    assert told is not None
    assert (told.id, told.state, told.revision, told.text) == ("track-1", "update", 2, "京A12345")


@pytest.mark.parametrize(
    ("camera", "text", "seconds"),
    [("yard", "京A12345", 1), ("gate", "京A12346", 1), ("gate", "京A12345", 31)],
)
def test_another_camera_plate_or_time_is_another_passage(
    tmp_path: Path, camera: str, text: str, seconds: float
) -> None:
    service = Service(tmp_path, same_plate_within=30)
    service.passages.take("gate", track(), frame())
    service.passages.take("gate", track(state="end"), None)
    service.clock.now += seconds
    other = service.passages.take(camera, track(text, id="track-2"), frame())
    assert other is not None and (other.id, other.state) == ("track-2", "new")


def test_an_id_is_given_once_though_a_file_is_read_again(tmp_path: Path) -> None:
    service = Service(tmp_path, same_plate_within=0)
    for _ in range(2):
        service.passages.take("gate", track(), frame())
        service.passages.take("gate", track(state="end"), None)
    assert service.states() == [("new", 1), ("end", 2)] * 2
    assert len({one.id for one in service.told}) == 2


def test_lists_match_at_the_first_moment_and_are_told(tmp_path: Path) -> None:
    known = ListSettings(action="allow", plates=["京A12345"], candidates=1)
    service = Service(tmp_path, Lists.load({"known": known}, tmp_path))
    other = track("京A12346", candidates=(Candidate("京A12345", 0.2),))
    told = service.passages.take("gate", other, frame())
    assert told is not None and told.action == "allow"
    assert (told.matches[0].list, told.matches[0].how) == ("known", "candidate")
    assert told.candidates == (("京A12345", 0.2),)
    service.passages.reload(Lists(), settings())
    service.passages.close_all()
    assert service.told[-1].matches == ()


def test_the_way_is_told_as_soon_as_it_is_known(tmp_path: Path) -> None:
    service = Service(tmp_path, direction="size", role="entry", site="north")
    first = service.passages.take("gate", track(), frame())
    assert first is not None and (first.direction, first.role, first.site) == ("", "entry", "north")
    grown = track(state="end", last_corners=plate(width=240))
    told = service.passages.take("gate", grown, None)
    assert told is not None and (told.state, told.direction) == ("update", "in")


def test_pictures_are_kept_and_get_better(tmp_path: Path) -> None:
    service = Service(tmp_path)
    told = service.passages.take("gate", track(min_score=0.8), frame(10))
    assert told is not None
    assert (told.crop, told.frame) == ("2026-11-27/track-1-crop.jpg", "2026-11-27/track-1-frame.jpg")
    paths = [service.pictures.open_path(name) for name in (told.crop, told.frame)]
    assert all(paths)
    before = [path.read_bytes() for path in paths if path]
    moved = plate(300)
    surer = track(state="update", min_score=0.9, crop=frame(200), last_corners=moved)
    assert service.passages.take("gate", surer, frame(100)) is None
    assert all(path.read_bytes() != old for path, old in zip(paths, before, strict=True) if path)
    # At its end it is gone from the picture: the crop gets better, the frame stays.
    frames = paths[1].read_bytes() if paths[1] else b""
    service.passages.take("gate", track(state="end", min_score=0.99), frame(0))
    assert paths[1] is not None and paths[1].read_bytes() == frames
    service.passages.close_all()
    assert service.told[-1].corners == tuple((float(x), float(y)) for x, y in moved)
    rows = service.base.reader().execute("SELECT path, event FROM pictures ORDER BY path").fetchall()
    assert [tuple(row) for row in rows] == [(told.crop, "track-1"), (told.frame, "track-1")]


def test_what_a_killed_service_left_open_is_ended_when_it_starts(tmp_path: Path) -> None:
    service = Service(tmp_path)
    service.passages.take("gate", track(), frame())
    service.passages.take("yard", track("沪B88888", id="track-2"), frame())
    again = Service(tmp_path)
    assert noted(again.base)[-2:] == [("track-1", 2, "end"), ("track-2", 2, "end")]
    event = again.store.get("track-1")
    assert event is not None and event.record.state == "end" and event.record.text == "京A12345"
    Service(tmp_path)
    assert len(noted(again.base)) == 4


def test_a_camera_that_is_gone_ends_its_passages(tmp_path: Path) -> None:
    service = Service(tmp_path)
    service.passages.take("gate", track(), frame())
    service.passages.take("yard", track(id="track-2"), frame())
    only = settings().model_copy(update={"cameras": {"gate": settings().cameras["gate"]}})
    service.passages.reload(Lists(), only)
    service.clock.now += 10.1  # nothing more was told of it
    service.passages.tick()
    assert (service.told[-1].camera, service.told[-1].state) == ("yard", "end")


def test_what_is_in_view_of_a_camera_that_goes_is_one_passage_to_its_end(tmp_path: Path) -> None:
    service = Service(tmp_path, site="yard", role="entry")
    service.passages.take("gate", track(), frame())
    service.passages.take("gate", track("沪B88888", id="track-2"), frame())
    service.passages.take("gate", track("沪B88888", id="track-2", state="end"), frame())
    without = settings().model_copy(update={"cameras": {"yard": settings().cameras["yard"]}})
    service.passages.reload(Lists(), without)
    assert [(one.id, one.state) for one in service.told][-1] == ("track-2", "end"), "it had left the view"
    # The camera's reading ends after that, and tells the end of what it has in view.
    service.passages.take("gate", track(state="end"), None)
    assert [(one.id, one.state) for one in service.told if one.id != "track-2"] == [
        ("track-1", "new"),
        ("track-1", "end"),
    ]
    assert {(one.site, one.role) for one in service.told} == {("yard", "entry")}
    assert service.passages.open_count() == 0


def test_a_listener_that_fails_is_logged_and_harms_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    service = Service(tmp_path)
    heard: list[PassageRecord] = []

    def fail(record: PassageRecord) -> None:
        raise ValueError(record.id)

    service.passages.listeners[:] = [fail, heard.append]
    with caplog.at_level(logging.ERROR, "edge_lpr"):
        assert service.passages.take("gate", track(), frame()) is not None
    assert len(heard) == 1 and "track-1/1" in caplog.text


def test_a_file_without_a_clock_has_the_time_of_day(tmp_path: Path) -> None:
    service = Service(tmp_path)
    told = service.passages.take("gate", track(first_utc=None, last_utc=None), frame())
    assert told is not None and told.last_utc > told.first_utc > "2026"


def test_what_is_told_of_an_event_is_in_the_database_first(tmp_path: Path) -> None:
    service = Service(tmp_path)
    other = sqlite3.connect(tmp_path / "events.db")
    seen: list[tuple[str, int]] = []

    def look(record: PassageRecord) -> None:
        row = other.execute("SELECT state, revision FROM events WHERE id = ?", (record.id,)).fetchone()
        seen.append((row[0], row[1]))

    service.passages.listeners.append(look)
    service.passages.take("gate", track(), frame())
    service.passages.close_all()
    other.close()
    assert seen == [("new", 1), ("end", 2)]


def test_the_queues_of_outputs_hold_what_is_told(tmp_path: Path) -> None:
    base = Database(tmp_path / "both.db", (*SCHEMA, *QUEUE_SCHEMA))
    files = {"type": "files", "folder": "out", "states": ["new", "end"]}
    cameras = {"gate": {"source": "0", "same_plate_within": 0}}
    given = ServeSettings.model_validate({"cameras": cameras, "outputs": {"log": files}})
    queues = Queues(base, given.outputs, given.lists)
    pictures = Pictures(tmp_path / "pictures", given.retention)
    passages = Passages(base, pictures, Lists(), queues, given)
    passages.take("gate", track(), frame())
    passages.take("gate", track("京A12346", "update"), frame())
    passages.take("gate", track("京A12346", "end"), None)
    item = queues.next("log", 0.0)
    assert item is not None and (item.id, item.revision, item.record["state"]) == ("track-1", 1, "new")
    assert queues.depths() == {"log": 2}
    base.close()
