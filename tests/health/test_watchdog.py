"""Work that never ends."""

from __future__ import annotations

import pytest

from edge_lpr.errors import SettingError
from edge_lpr.health.activity import Activity, Piece
from edge_lpr.health.watchdog import Watchdog, WatchdogSettings


class Work(Activity):
    """Work whose pieces a test names."""

    def __init__(self) -> None:
        super().__init__("the models")
        self.now: list[Piece] = []

    def pieces(self) -> list[Piece]:
        return self.now


def watched(limit: float = 10.0) -> tuple[Work, Watchdog, list[str]]:
    work, lines = Work(), list[str]()
    return work, Watchdog([work], limit, lines.append), lines


def test_what_is_stuck_is_reported_once_and_given_up_later() -> None:
    work, watchdog, lines = watched()
    work.now = [(1, 5.0)]
    found = [watchdog.check(1.0) for _ in range(30)]
    assert found == [None] * 29 + ["the models"] and not watchdog.is_well
    assert lines == [
        "the models have not answered for 10 s; where they do not within 30 s this run ends with exit code 1"
    ]


def test_what_goes_on_after_all_is_well() -> None:
    work, watchdog, lines = watched()
    work.now = [(1, 5.0)]
    for _ in range(14):
        watchdog.check(1.0)
    work.now = [(1, 19.5)]
    assert watchdog.check(1.0) is None and watchdog.is_well
    assert lines[1:] == ["the models answered after 14 s"]
    assert [watchdog.check(1.0) for _ in range(5)] == [None] * 5 and len(lines) == 2


def test_much_work_that_is_quick_is_well() -> None:
    work, watchdog, lines = watched(1.0)
    for n in range(100):
        work.now = [(1, float(n))]
        assert watchdog.check(0.9) is None
    assert lines == []


def test_time_in_which_the_process_stood_still_does_not_count() -> None:
    work, watchdog, lines = watched()
    work.now = [(1, 5.0)]
    assert watchdog.check(1.0) is None
    assert watchdog.check(3600.0) is None and lines == []  # Ctrl-Z, and back an hour later


def test_nothing_is_stuck_where_nothing_is_watched() -> None:
    work, watchdog, lines = watched(0)
    work.now = [(1, 5.0)]
    assert [watchdog.check(2.0) for _ in range(100)] == [None] * 100 and lines == [] and watchdog.is_well


def test_the_limit_has_a_range() -> None:
    assert WatchdogSettings().watchdog == 10
    with pytest.raises(SettingError, match="watchdog is -1"):
        WatchdogSettings(watchdog=-1)
