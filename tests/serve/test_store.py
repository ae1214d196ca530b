"""What is kept of passages: read again as it was told, in the order of what was written, and corrected."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from helpers.stored_passages import database, event, fill

from edge_lpr.errors import InputError
from edge_lpr.serve.record import Match
from edge_lpr.serve.store import EventStore, Query


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    base = database(tmp_path / "events.db")
    one = event(
        candidates=(("京A12346", 0.1),),
        matches=(Match("known", "allow", "张三", "京A12345", "exact"),),
        corners=((1.5, 2.0), (3.0, 2.0), (3.0, 4.0), (1.5, 4.0)),
        direction="in",
    )
    fill(base, one)
    found = EventStore(base).get(one.id)
    assert found is not None and found.record == one
    assert found.to_dict()["matches"][0]["name"] == "张三"
    assert EventStore(base).get("another") is None


def test_changes_come_in_the_order_of_what_was_written(tmp_path: Path) -> None:
    base = database(tmp_path / "events.db")
    store = EventStore(base)
    fill(base, event(0, state="new"), event(1, state="new"), event(2, state="new"))
    fill(base, event(0, revision=2))
    seen = store.changes(0)
    assert [(one.record.id, one.sequence) for one in seen] == [
        ("passage-1", 2),
        ("passage-2", 3),
        ("passage-0", 4),
    ]
    assert [one.record.id for one in store.changes(0, 2)] == ["passage-1", "passage-2"]
    assert store.changes(seen[-1].sequence) == []
    store.correct("passage-1", "京A54321", "page")
    assert [one.text for one in store.changes(seen[-1].sequence)] == ["京A54321"]


def test_numbers_are_given_once_though_all_is_deleted(tmp_path: Path) -> None:
    base = database(tmp_path / "events.db")
    fill(base, event(0))
    with base.transaction() as tx:
        tx.execute("DELETE FROM events")
    base.close()
    again = database(tmp_path / "events.db")
    fill(again, event(1))
    assert [one.sequence for one in EventStore(again).changes(0)] == [2]


def test_a_correction_stands_beside_what_was_read_and_stays(tmp_path: Path) -> None:
    base = database(tmp_path / "events.db")
    store = EventStore(base)
    fill(base, event(0, state="new"))
    found = store.correct("passage-0", "京A·5432l", "anna")
    assert found is not None
    assert (found.record.text, found.text, found.corrected_by) == ("京A12345", "京A5432L", "anna")
    assert found.corrected_at.endswith("Z")
    fill(base, event(0, revision=2))
    kept = store.get("passage-0")
    assert kept is not None and kept.text == "京A5432L" and kept.record.revision == 2
    taken_back = store.correct("passage-0", " ", "anna")
    assert taken_back is not None and (taken_back.text, taken_back.corrected_by) == ("京A12345", "")
    assert store.correct("nobody", "京A12345", "anna") is None


@pytest.mark.parametrize("text", ["<script>", "京A12345" * 3, "京A123?5", "==1+1"])
def test_what_can_be_no_plate_is_no_correction(tmp_path: Path, text: str) -> None:
    base = database(tmp_path / "events.db")
    fill(base, event(0))
    with pytest.raises(InputError, match="expected letters and digits, at most 16"):
        EventStore(base).correct("passage-0", text, "anna")


def test_all_of_a_query_is_given_page_after_page(tmp_path: Path) -> None:
    base = database(tmp_path / "events.db")
    fill(base, *(event(i) for i in range(7)))
    found = EventStore(base).every(Query(limit=2))
    assert [one.record.id for one in found] == [f"passage-{i}" for i in reversed(range(7))]


def test_sites_are_those_where_something_came_in_or_went_out(tmp_path: Path) -> None:
    base = database(tmp_path / "events.db")
    fill(base, event(0, site="north", role="entry"), event(1, site="south"), event(2, direction="in"))
    store = EventStore(base)
    assert (store.sites(), store.count()) == (["", "north"], 3)


def test_what_a_later_version_has_in_a_record_is_passed_over(tmp_path: Path) -> None:
    base = database(tmp_path / "events.db")
    fill(base, event(0))
    with base.transaction() as tx:
        tx.execute('UPDATE events SET record = replace(record, \'{"id"\', \'{"speed": 50, "id"\')')
    found = EventStore(base).get("passage-0")
    assert found is not None and found.record == replace(event(0))
