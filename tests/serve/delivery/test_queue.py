"""The queues on disk: nothing is lost, in order, bounded, and one bad event holds up no other."""

from __future__ import annotations

import itertools
import json
import logging
import random
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.extras import reason
from helpers.passages import match, record
from helpers.waiting import LONG

pytest.importorskip("pydantic", reason=reason("pydantic", "serve"))

from edge_lpr.serve.database import Database
from edge_lpr.serve.delivery.items import DeliveryError, Item
from edge_lpr.serve.delivery.queue import SCHEMA, Queues
from edge_lpr.serve.output_settings import WebhookSettings
from edge_lpr.serve.record import PassageRecord
from edge_lpr.serve.settings import ListSettings


def webhook(**changes: Any) -> WebhookSettings:
    return WebhookSettings(type="webhook", url="http://127.0.0.1/", **changes)


@pytest.fixture(autouse=True)
def standing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The queues' clock all but stands: however slow disk and machine are, no pause is over by itself."""
    at = itertools.count(time.monotonic(), 1e-6)
    monkeypatch.setattr(time, "monotonic", lambda: next(at))


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path / "a.sqlite", SCHEMA)
    yield opened
    opened.close()


def queues(database: Database, lists: dict[str, ListSettings] | None = None, **targets: Any) -> Queues:
    return Queues(database, targets or {"hook": webhook()}, lists, random.Random(1))


def offer(database: Database, queued: Queues, *records: PassageRecord) -> None:
    for one in records:
        with database.transaction() as tx:
            queued.offer(tx, one)
    queued.wake()


def now(queued: Queues, target: str = "hook", later: float = 0) -> Item | None:
    return queued.next(target, time.monotonic() + later)


def taken(queued: Queues, target: str = "hook") -> list[tuple[str, int]]:
    """Takes all that waits."""
    found = []
    while (item := now(queued, target)) is not None:
        found.append((item.id, item.revision))
        queued.done(item)
    return found


def test_events_come_in_order_as_the_record_has_them(database: Database) -> None:
    queued = queues(database)
    offer(database, queued, record("a"), record("b"), record("a", 2), record("a", 3))
    first = now(queued)
    assert first is not None
    assert first.record == json.loads(json.dumps(record("a").to_dict()))
    assert "粤" in first.body
    assert queued.depths() == {"hook": 4}
    assert taken(queued) == [("a", 1), ("b", 1), ("a", 2), ("a", 3)]
    assert queued.depths() == {"hook": 0}
    assert queued.counts()["hook"].delivered == 4


def test_what_is_not_committed_is_not_queued(database: Database) -> None:
    queued = queues(database)
    with pytest.raises(ZeroDivisionError), database.transaction() as tx:
        queued.offer(tx, record())
        raise ZeroDivisionError
    assert now(queued) is None
    assert queued.depths() == {"hook": 0}


def test_a_queue_is_there_after_a_restart(tmp_path: Path) -> None:
    before = Database(tmp_path / "a.sqlite", SCHEMA)
    offer(before, queues(before), record("a"), record("b"))
    # As after kill -9: the first connection is never closed.
    after = Database(tmp_path / "a.sqlite", SCHEMA)
    assert taken(queues(after)) == [("a", 1), ("b", 1)]
    before.close()
    after.close()


def test_an_event_that_is_not_taken_holds_up_its_own_passage_alone(database: Database) -> None:
    queued = queues(database)
    offer(database, queued, record("a"), record("a", 2), record("b"), record("b", 2))
    first = now(queued)
    assert first is not None
    queued.failed(first, DeliveryError("500", whole=False))
    assert taken(queued) == [("b", 1), ("b", 2)]
    assert 0 < queued.pause("hook", time.monotonic()) <= 1
    again = now(queued, later=2)
    assert again == first
    queued.done(again)
    assert taken(queued) == [("a", 2)]


def test_a_receiver_that_is_away_is_left_alone_for_longer_and_longer(database: Database) -> None:
    queued = queues(database, hook=webhook(max_pause=20))
    offer(database, queued, record("a"), record("b"))
    item = now(queued)
    assert item is not None
    pauses = []
    for _ in range(8):
        queued.failed(item, DeliveryError("refused"))
        assert now(queued) is None
        pauses.append(queued.pause("hook", time.monotonic()))
    for nth, pause in enumerate(pauses):
        whole = min(20, 2.0**nth)
        assert whole / 2 - 0.001 <= pause <= whole
    assert pauses[-1] > 5 * pauses[0]
    queued.retry_now("hook")
    assert taken(queued) == [("a", 1), ("b", 1)]
    assert queued.counts()["hook"].failing == ""


def test_it_is_left_alone_as_long_as_it_asks_to_be(database: Database) -> None:
    queued = queues(database)
    offer(database, queued, record("a"))
    item = now(queued)
    assert item is not None
    queued.failed(item, DeliveryError("429", after=30))
    assert now(queued, later=29) is None
    assert now(queued, later=31) == item


def test_one_bad_event_never_slows_the_next_vehicle(database: Database) -> None:
    queued = queues(database)
    offer(database, queued, record("bad"))
    bad = now(queued)
    assert bad is not None
    for _ in range(10):
        queued.failed(bad, DeliveryError("500", whole=False))
    offer(database, queued, record("good"))
    assert taken(queued) == [("good", 1)]


def test_a_receiver_that_takes_none_of_several_is_left_alone(database: Database) -> None:
    queued = queues(database)
    offer(database, queued, *(record(name) for name in "abcde"))
    tried = 0
    while (item := now(queued)) is not None:
        queued.failed(item, DeliveryError("500", whole=False))
        tried += 1
    assert tried == 3


def test_a_full_queue_drops_the_oldest_counts_them_and_says_so(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    queued = queues(database, hook=webhook(queue=2))
    with caplog.at_level(logging.WARNING, "edge_lpr"):
        offer(database, queued, *(record(name) for name in "abcde"))
    assert taken(queued) == [("d", 1), ("e", 1)]
    assert queued.counts()["hook"].dropped == 3
    assert [r.getMessage() for r in caplog.records] == [
        "output hook: 2 events waiting, as many as may; older ones are dropped"
    ]


def test_other_settings_are_tried_at_once(database: Database) -> None:
    queued = queues(database)
    offer(database, queued, record("a"))
    item = now(queued)
    assert item is not None
    queued.failed(item, DeliveryError("404", after=300))
    queued.reload({"hook": webhook()}, {})
    assert now(queued) is None, "nothing has changed of it"
    queued.reload({"hook": webhook(timeout=3)}, {})
    assert taken(queued) == [("a", 1)]


def test_an_event_that_was_dropped_while_it_was_sent_counts_once(database: Database) -> None:
    queued = queues(database, hook=webhook(queue=1))
    offer(database, queued, record("a"))
    item = now(queued)
    assert item is not None
    offer(database, queued, record("b"))
    queued.done(item)
    counts = queued.counts()["hook"]
    assert (counts.waiting, counts.dropped, counts.delivered) == (1, 1, 0)


def test_refused_events_are_given_up_and_said(database: Database, caplog: pytest.LogCaptureFixture) -> None:
    queued = queues(database)
    offer(database, queued, record("a"), record("a", 2))
    item = now(queued)
    assert item is not None
    with caplog.at_level(logging.WARNING, "edge_lpr"):
        queued.failed(item, DeliveryError("answers 400 with token=abcdefgh", final=True))
    assert caplog.messages == ["output hook: event a/1 is given up: answers 400 with token=***"]
    assert queued.counts()["hook"].given_up == 1
    assert taken(queued) == [("a", 2)]


def test_what_nobody_took_in_time_is_told_to_nobody_any_more(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    database = Database(tmp_path / "a.sqlite", SCHEMA)
    offer(database, queues(database), record("a"), record("b"), record("c"))
    with database.transaction() as tx:
        tx.execute("UPDATE queue SET queued = queued - 3601 WHERE passage != 'c'")
    queued = queues(database, hook=webhook(keep_trying=1))  # as after a restart
    with caplog.at_level(logging.WARNING, "edge_lpr"):
        # A barrier does not open an hour late, though the receiver was never asked before.
        assert taken(queued) == [("c", 1)]
    assert caplog.messages == ["output hook: 2 events are given up: not within 1 hour"]
    assert queued.counts()["hook"].given_up == 2
    database.close()


def test_what_fails_until_it_is_late_is_given_up(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    queued = queues(database, hook=webhook(keep_trying=1))
    offer(database, queued, record("a"))
    item = now(queued)
    assert item is not None
    later = time.time() + 3700, time.monotonic() + 3700
    monkeypatch.setattr(time, "time", lambda: later[0])
    monkeypatch.setattr(time, "monotonic", lambda: later[1])
    with caplog.at_level(logging.WARNING, "edge_lpr"):
        queued.failed(item, DeliveryError("refused"))
    assert caplog.messages == ["output hook: event a/1 is given up: not within 1 hour: refused"]
    assert queued.depths() == {"hook": 0}


@pytest.mark.parametrize("hours", [0.0, 2.0])
def test_what_is_still_in_time_is_told(tmp_path: Path, hours: float) -> None:
    database = Database(tmp_path / "a.sqlite", SCHEMA)
    offer(database, queues(database), record("a"))
    with database.transaction() as tx:
        tx.execute("UPDATE queue SET queued = queued - 3601")
    assert taken(queues(database, hook=webhook(keep_trying=hours))) == [("a", 1)]
    database.close()


def test_a_clock_that_is_set_ages_nothing_of_this_process(database: Database) -> None:
    queued = queues(database, hook=webhook(keep_trying=1))
    offer(database, queued, record("a"))
    with database.transaction() as tx:
        tx.execute("UPDATE queue SET queued = 0")  # queued in 1970, before the network told the time
    item = now(queued)
    assert item is not None
    queued.failed(item, DeliveryError("refused"))
    assert queued.depths() == {"hook": 1}


def test_each_output_has_what_it_asks_for(database: Database) -> None:
    lists = {
        "staff": ListSettings(action="allow", outputs=["barrier"]),
        "police": ListSettings(action="watch"),
    }
    queued = queues(
        database,
        lists,
        all=webhook(),
        ends=webhook(states=["end"]),
        yard=webhook(cameras=["yard"]),
        listed=webhook(events="listed"),
        barrier=webhook(events="lists"),
    )
    offer(
        database,
        queued,
        record("x"),
        record("y", camera="yard"),
        record("s", matches=(match("staff"),)),
        record("p", matches=(match("police", "watch"),)),
        record("x", 3),
    )
    assert taken(queued, "all") == [("x", 1), ("y", 1), ("s", 1), ("p", 1), ("x", 3)]
    assert taken(queued, "ends") == [("x", 3)]
    assert taken(queued, "yard") == [("y", 1)]
    assert taken(queued, "listed") == [("s", 1), ("p", 1)]
    assert taken(queued, "barrier") == [("s", 1)]


def test_no_barrier_is_told_of_a_plate_that_another_list_keeps_out(database: Database) -> None:
    lists = {
        "staff": ListSettings(action="allow", outputs=["barrier"]),
        "stolen": ListSettings(action="deny", outputs=["guard"]),
        "police": ListSettings(action="watch", outputs=["guard"]),
    }
    targets = {"barrier": webhook(events="lists"), "guard": webhook(events="lists")}
    queued = queues(database, lists, **targets)
    staff, stolen, police = match("staff"), match("stolen", "deny"), match("police", "watch")
    offer(
        database,
        queued,
        record("kept out", matches=(stolen, staff)),
        record("let in", matches=(staff, stolen)),  # of a higher priority
        record("seen", matches=(stolen, police)),
        record("watched", matches=(staff, police)),
    )
    assert taken(queued, "barrier") == [("let in", 1), ("watched", 1)]
    assert [name for name, _ in taken(queued, "guard")] == ["kept out", "let in", "seen", "watched"]


def test_who_was_told_of_a_plate_hears_how_it_goes_on(database: Database) -> None:
    queued = queues(database, hook=webhook(events="listed"))
    offer(database, queued, record("a", matches=(match(),)), record("a", 2), record("a", 3))
    offer(database, queued, record("a", 4, state="update"))  # opened again, and not on a list
    assert taken(queued) == [("a", 1), ("a", 2), ("a", 3)]
    assert database.reader().execute("SELECT COUNT(*) FROM queue_told").fetchone()[0] == 0


def test_what_waits_for_an_output_that_is_gone_waits_on(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    queued = queues(database)
    offer(database, queued, record("a"))
    with caplog.at_level(logging.WARNING, "edge_lpr"):
        queued.reload({}, {})
    assert caplog.messages == [
        "output hook is not in the configuration any more: 1 event waiting until it is"
    ]
    queued.reload({"hook": webhook()}, {})
    assert taken(queued) == [("a", 1)]


def test_a_disk_that_does_not_take_what_was_delivered_is_asked_again(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    queued = queues(database)
    offer(database, queued, record("a"), record("b"))
    first = now(queued)
    assert first is not None

    def full() -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING, "edge_lpr"):
        patch.setattr(database, "transaction", full)
        queued.done(first)
        assert now(queued, later=5) is None  # it is not delivered again meanwhile
    assert caplog.messages == ["output hook: the queue cannot be written: database or disk is full"]
    queued.retry_now("hook")
    assert taken(queued) == [("b", 1)]
    assert queued.counts()["hook"].delivered == 2


def test_who_waits_misses_nothing_that_came_before(database: Database) -> None:
    queued = queues(database)
    seen = queued.changes()
    offer(database, queued, record("a"))
    began = time.perf_counter()
    queued.wait(seen, LONG)
    assert time.perf_counter() - began < LONG / 2
