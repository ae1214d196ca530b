"""Counts by hour and day, camera, direction and kind."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.stored_passages import NOON, database, event, fill

from edge_lpr.serve.counts import Count, CountQuery, counts

START = NOON.timestamp()


@pytest.fixture
def shanghai(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine eight hours ahead of UTC."""
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("shanghai")
def test_by_hour_of_this_machine(tmp_path: Path) -> None:
    base = database(tmp_path / "events.db")
    fill(
        base,
        event(0),
        event(1),
        event(59, direction="in"),
        event(61, kind="green"),
        event(62, camera="yard"),
        event(500),
    )
    found = counts(base, CountQuery(START, START + 7200))
    assert found == [
        Count("2026-11-27T20:00", "gate", "", "blue", 2),
        Count("2026-11-27T20:00", "gate", "in", "blue", 1),
        Count("2026-11-27T21:00", "gate", "", "green", 1),
        Count("2026-11-27T21:00", "yard", "", "blue", 1),
    ]
    days = counts(base, CountQuery(START, START + 86_400, "day", "gate"))
    assert [(one.start, one.count) for one in days if one.kind == "blue" and not one.direction] == [
        ("2026-11-27", 2),
        ("2026-11-28", 1),
    ]


def test_nothing_happened(tmp_path: Path) -> None:
    assert counts(database(tmp_path / "events.db"), CountQuery(0, START)) == []
