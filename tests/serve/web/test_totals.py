"""Counts as tables: no hour and no day is missing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime

import pytest

from edge_lpr.serve.counts import Count
from edge_lpr.serve.web.totals import table_of


@pytest.fixture(params=["UTC", "Asia/Shanghai", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Kathmandu"])
def zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def test_hours_without_passages_are_there(zone: str) -> None:
    found = [
        Count("2026-11-27T08:00", "gate", "in", "blue", 3),
        Count("2026-11-27T08:00", "yard", "", "blue", 1),
    ]
    table = table_of(found, "direction", "hour", at("2026-11-27T06:30"), at("2026-11-27T10:00"))
    assert [row.label[-5:] for row in table.rows] == ["06:00", "07:00", "08:00", "09:00"]
    assert table.series == ["in", "not known"]
    assert [row.counts for row in table.rows] == [(0, 0), (0, 0), (3, 1), (0, 0)]
    assert table.total == 4


def test_days_with_a_change_of_clocks_are_one_each(zone: str) -> None:
    table = table_of([], "kind", "day", at("2026-10-20"), at("2026-11-02"))
    assert [row.label for row in table.rows] == [f"2026-10-{d}" for d in range(20, 32)] + ["2026-11-01"]
    hours = table_of([], "kind", "hour", at("2026-10-25"), at("2026-10-26"))
    assert len(hours.rows) == len({row.label for row in hours.rows}) == 24


def test_what_comes_after_the_colours_is_one() -> None:
    found = [Count("2026-11-27", f"camera-{i}", "", "blue", 20 - i) for i in range(12)]
    table = table_of(found, "camera", "day", at("2026-11-27"), at("2026-11-28"))
    assert table.series == [*(f"camera-{i}" for i in range(7)), "others"]
    assert table.rows[0].counts == (20, 19, 18, 17, 16, 15, 14, 13 + 12 + 11 + 10 + 9)
