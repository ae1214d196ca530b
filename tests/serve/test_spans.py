"""Days and times of day, as configurations write them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from edge_lpr.errors import InputError
from edge_lpr.serve.spans import Spans

MONDAY = datetime(2026, 11, 23)


def at(day: int, clock: str) -> datetime:
    """That time of this machine, so many days after a Monday."""
    hour, minute = map(int, clock.split(":"))
    return (MONDAY + timedelta(days=day, hours=hour, minutes=minute)).astimezone()


@pytest.mark.parametrize(
    ("spans", "inside", "outside"),
    [
        (["Mon-Fri 07:00-19:00"], [(0, "07:00"), (4, "18:59")], [(0, "06:59"), (4, "19:00"), (5, "12:00")]),
        (["Sat,Sun"], [(5, "00:00"), (6, "23:59")], [(4, "23:59"), (7, "00:00")]),
        (["sat-mon"], [(5, "12:00"), (6, "12:00"), (0, "12:00")], [(1, "12:00")]),
        (["22:00-06:00"], [(0, "22:00"), (1, "05:59"), (3, "23:59")], [(0, "06:00"), (0, "21:59")]),
        (["Fri 22:00-06:00"], [(4, "22:30"), (5, "05:00")], [(4, "05:00"), (5, "22:30"), (6, "05:00")]),
        (["Sun 22:00-06:00"], [(6, "23:00"), (7, "01:00")], [(0, "23:00")]),
        (["18:00-24:00"], [(2, "23:59")], [(3, "00:00"), (2, "17:59")]),
        (["Mon 08:00-09:00", "Tue 10:00-11:00"], [(0, "08:30"), (1, "10:30")], [(0, "10:30"), (1, "08:30")]),
        ([], [(0, "00:00"), (6, "23:59")], []),
    ],
)
def test_when_it_holds(
    spans: list[str], inside: list[tuple[int, str]], outside: list[tuple[int, str]]
) -> None:
    parsed = Spans.parse(spans)
    assert [moment for moment in inside if not parsed.holds(at(*moment))] == []
    assert [moment for moment in outside if parsed.holds(at(*moment))] == []


def test_a_moment_of_another_zone_is_brought_to_this_one() -> None:
    moment = at(0, "12:00")
    far = moment.astimezone(timezone(timedelta(hours=9, minutes=30)))
    assert Spans.parse(["Mon 11:59-12:01"]).holds(far)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Mon-Fry 07:00-19:00", "no day 'fry'"),
        ("Montag", "no day 'montag'"),
        ("25:00-26:00", "no such time"),
        ("07:60-08:00", "no such time"),
        ("24:00-25:00", "no such time"),
        ("07:00", "expected days, times or both"),
        ("7-19", "no day '7'"),
        ("Mon Tue 07:00-08:00", "expected days, times or both"),
        ("07:00-07:00", "leave the times out"),
        ("", "expected days, times or both"),
        ("Mon " * 30, "expected days, times or both"),
    ],
)
def test_what_is_none(text: str, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        Spans.parse([text], "cameras.gate.schedule")
    assert str(caught.value).startswith("cameras.gate.schedule: ") and len(str(caught.value)) < 250
