"""How often lists have matched."""

from __future__ import annotations

from pathlib import Path

from helpers.stored_passages import NOON, database, event, fill

from edge_lpr.serve.list_hits import ListHits, list_hits
from edge_lpr.serve.record import Match


def test_hits_are_counted_by_list(tmp_path: Path) -> None:
    base = database(tmp_path / "events.db")
    staff, police = (Match(name, "allow", "", "京A12345", "exact") for name in ("staff", "police"))
    fill(
        base,
        event(0, matches=(staff,)),
        event(1, matches=(staff, police)),
        event(2),
        event(-60, matches=(police,)),
    )
    hits = list_hits(base, NOON.timestamp())
    assert hits == {
        "staff": ListHits(2, "2026-11-27T12:01:00.000Z"),
        "police": ListHits(1, "2026-11-27T12:01:00.000Z"),
    }
    assert list_hits(base, NOON.timestamp() - 7200)["police"].hits == 2
    assert list_hits(base, NOON.timestamp() + 7200) == {}
