"""The search: wildcards, look-alikes, filters and pages; and by indexes, however many passages there are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from helpers.stored_passages import NOON, database, event, fill

from edge_lpr.errors import InputError
from edge_lpr.serve.record import Match
from edge_lpr.serve.search import Query, search, statement_of
from edge_lpr.serve.store import EventStore

PLATES = ("京A12345", "京A1Z34S", "沪B88888", "沪BB888B", "粤B1234", "京A99999")


def found(tmp_path: Path, **query: Any) -> list[str]:
    base = database(tmp_path / "events.db")
    fill(base, *(event(i, text) for i, text in enumerate(PLATES)))
    return [one.record.text for one in reversed(search(base, Query(**query)).events)]


@pytest.mark.parametrize(
    ("plate", "lookalikes", "expected"),
    [
        ("京A12345", True, ["京A12345", "京A1Z34S"]),
        ("京A12345", False, ["京A12345"]),
        ("京a·12345", False, ["京A12345"]),
        ("京A*", True, ["京A12345", "京A1Z34S", "京A99999"]),
        ("?B*8", True, ["沪B88888", "沪BB888B"]),
        ("?B*8", False, ["沪B88888"]),
        ("*234?", True, ["京A12345", "京A1Z34S"]),
        ("*1234", True, ["粤B1234"]),
        ("京A1234", True, []),
        ("[京沪]*", True, []),
        ("京A[0-9]2345", True, []),
        ("京A％", True, []),
        ("", True, list(PLATES)),
    ],
)
def test_plates(tmp_path: Path, plate: str, lookalikes: bool, expected: list[str]) -> None:
    assert found(tmp_path, plate=plate, lookalikes=lookalikes) == expected


def test_a_bracket_stands_for_itself(tmp_path: Path) -> None:
    base = database(tmp_path / "events.db")
    fill(base, event(0, "京[A]12"))
    assert len(search(base, Query(plate="京[A]*")).events) == 1


def test_a_corrected_plate_is_found_as_it_was_read_and_as_it_is(tmp_path: Path) -> None:
    base = database(tmp_path / "events.db")
    fill(base, event(0), event(1, "沪B88888"))
    EventStore(base).correct("passage-0", "京A54321", "anna")
    for plate in ("京A12345", "京A54321", "京A5*"):
        assert [one.record.id for one in search(base, Query(plate=plate)).events] == ["passage-0"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"camera": "yard"}, [1]),
        ({"since": NOON.timestamp() + 120, "before": NOON.timestamp() + 180}, [2]),
        ({"list": "a_b"}, [3]),
        ({"list": "a"}, [4]),
        ({"action": "deny"}, [4]),
        ({"kind": "green", "camera": "gate"}, [5]),
        ({"direction": "in"}, [5]),
        ({"direction": "in", "camera": "yard"}, []),
        ({"list": "nothing"}, []),
    ],
)
def test_filters(tmp_path: Path, query: dict[str, Any], expected: list[int]) -> None:
    base = database(tmp_path / "events.db")
    fill(
        base,
        event(0),
        event(1, camera="yard"),
        event(2),
        event(3, matches=(Match("a_b", "allow", "", "京A12345", "exact"),)),
        event(
            4, matches=(Match("a", "deny", "", "京A12345", "exact"), Match("axb", "allow", "", "", "exact"))
        ),
        event(5, kind="green", direction="in"),
    )
    assert [one.record.id for one in search(base, Query(**query)).events] == [
        f"passage-{i}" for i in expected
    ]


def test_pages_meet_each_passage_once_whatever_comes_meanwhile(tmp_path: Path) -> None:
    base = database(tmp_path / "events.db")
    # All but one were seen first at one moment.
    fill(base, *(event(0, id=f"same-{i}") for i in range(5)), event(1))
    first = search(base, Query(limit=3))
    fill(base, event(9))
    second = search(base, Query(limit=3, cursor=first.cursor))
    names = [one.record.id for one in (*first.events, *second.events)]
    assert names == ["passage-1", "same-4", "same-3", "same-2", "same-1", "same-0"]
    assert second.cursor == ""


@pytest.mark.parametrize("cursor", ["x", "1e999_3", "nan_1", "1.0", "1_2; DROP TABLE events", "1" * 500])
def test_a_cursor_of_somebody_s_own(tmp_path: Path, cursor: str) -> None:
    with pytest.raises(InputError, match="expected one that a page before has given"):
        search(database(tmp_path / "events.db"), Query(cursor=cursor))


@pytest.mark.parametrize(
    "query", [{"plate": "*" * 9 + "1"}, {"plate": "1" * 99}, {"plate": "·"}, {"limit": 0}, {"limit": 10**9}]
)
def test_what_is_out_of_bounds(tmp_path: Path, query: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="expected 1 to"):
        search(database(tmp_path / "events.db"), Query(**query))


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ({}, "events_first"),
        ({"since": 0.0, "before": 9e9}, "events_first"),
        ({"plate": "京A1*5"}, "events_first"),
        ({"plate": "京A12345", "camera": "gate", "since": 0.0, "lookalikes": False}, "events_folded"),
        ({"plate": "京A1*5", "list": "known"}, "events_listed"),
        ({"camera": "gate"}, "events_camera"),
        ({"camera": "gate", "since": 0.0, "cursor": "1.0_2"}, "events_camera"),
        ({"plate": "京A12345"}, "events_folded"),
        ({"list": "known"}, "events_listed"),
        ({"action": "deny", "since": 0.0}, "events_listed"),
    ],
)
def test_an_index_finds_it(tmp_path: Path, query: dict[str, Any], index: str) -> None:
    """No query without a wildcard goes through all passages."""
    base = database(tmp_path / "events.db")
    fill(base, *(event(i) for i in range(50)))
    statement, values = statement_of(Query(**query))
    plan = [row["detail"] for row in base.reader().execute(f"EXPLAIN QUERY PLAN {statement}", values)]
    assert any(index in line for line in plan), plan
    assert not any(line == "SCAN events" for line in plan), plan
