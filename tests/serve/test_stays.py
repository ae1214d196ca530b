"""Stays: entries and exits paired by plate, and who is inside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from helpers.stored_passages import NOON, database, event, fill

from edge_lpr.serve.record import PassageRecord
from edge_lpr.serve.stays import Stay, occupancy, stays
from edge_lpr.serve.store import EventStore

START = NOON.timestamp()


def came(minute: int, text: str = "京A12345", **fields: Any) -> PassageRecord:
    return event(minute, text, **{"site": "lot", "role": "entry", **fields})


def left(minute: int, text: str = "京A12345", **fields: Any) -> PassageRecord:
    return event(minute, text, **{"site": "lot", "role": "exit", **fields})


def of(
    tmp_path: Path, *records: PassageRecord, since: float = START, before: float = START + 86_400
) -> list[Stay]:
    base = database(tmp_path / "events.db")
    fill(base, *records)
    return stays(base, "lot", since, before)


def told(found: list[Stay]) -> list[tuple[str, str, float | None, bool]]:
    return [(one.entry, one.exit, one.seconds, one.inside) for one in found]


def test_an_entry_and_its_exit(tmp_path: Path) -> None:
    found = of(tmp_path, came(0), came(5, "沪B88888"), left(30))
    assert told(found) == [
        ("passage-0", "passage-30", 1800.0, False),
        ("passage-5", "", None, True),
    ]
    assert (found[0].entered_utc, found[0].left_utc) == (
        "2026-11-27T12:00:00.000Z",
        "2026-11-27T12:30:00.000Z",
    )
    assert occupancy(found) == 1


def test_look_alikes_are_one_plate(tmp_path: Path) -> None:
    assert told(of(tmp_path, came(0, "京A1D34S"), left(9, "京A10345"))) == [
        ("passage-0", "passage-9", 540.0, False)
    ]


def test_one_doubtful_character_may_be_another(tmp_path: Path) -> None:
    unsure = (0.99,) * 6 + (0.6,)
    assert told(of(tmp_path, came(0), left(9, "京A12346", char_scores=unsure))) == [
        ("passage-0", "passage-9", 540.0, False)
    ]


def test_but_not_a_sure_one_nor_where_two_could_be_meant(tmp_path: Path) -> None:
    unsure = (0.99,) * 6 + (0.6,)
    found = of(tmp_path, came(0), left(9, "京A12346"))
    assert told(found) == [("passage-0", "", None, True), ("", "passage-9", None, False)]
    two = tmp_path / "two"
    two.mkdir()
    found = of(two, came(0), came(1, "京A12347"), left(9, "京A12346", char_scores=unsure))
    assert [one.inside for one in found] == [True, True, False]


def test_who_enters_twice_has_left_unseen(tmp_path: Path) -> None:
    assert told(of(tmp_path, came(0), came(60), left(90))) == [
        ("passage-0", "", None, False),
        ("passage-60", "passage-90", 1800.0, False),
    ]


def test_who_turns_back_has_not_come_in(tmp_path: Path) -> None:
    assert of(tmp_path, came(0, direction="out"), left(1, direction="in")) == []


def test_one_gate_for_both_goes_by_direction(tmp_path: Path) -> None:
    found = of(tmp_path, came(0, role="", direction="in"), came(7, role="", direction="out"))
    assert told(found) == [("passage-0", "passage-7", 420.0, False)]


def test_other_sites_do_not_count(tmp_path: Path) -> None:
    assert [one.inside for one in of(tmp_path, came(0), left(5, site="other"))] == [True]


def test_what_began_before_is_known_and_what_was_over_is_left_out(tmp_path: Path) -> None:
    records = (came(0), left(5), came(10, "沪B88888"), left(70, "沪B88888"))
    found = of(tmp_path, *records, since=START + 3600)
    assert told(found) == [("passage-10", "passage-70", 3600.0, False)]


def test_a_correction_pairs_what_was_misread(tmp_path: Path) -> None:
    base = database(tmp_path / "events.db")
    fill(base, came(0), left(5, "京A99945"))
    EventStore(base).correct("passage-5", "京A12345", "anna")
    assert told(stays(base, "lot", START, START + 3600)) == [("passage-0", "passage-5", 300.0, False)]
