"""Events: their identifiers, times and states."""

from __future__ import annotations

import pytest

from edge_lpr.errors import SettingError
from edge_lpr.pipeline.events import Moment, event_id, event_times, states_of
from edge_lpr.pipeline.wall_clock import utc


def test_an_identifier_belongs_to_one_track_of_one_run() -> None:
    assert event_id("street.mp4", None, 1) == event_id("street.mp4", None, 1)
    others = [("street.mp4", None, 2), ("b.mp4", None, 1), ("cam", 10.0, 1), ("cam", 10.5, 1)]
    assert len({event_id(*other) for other in (*others, ("street.mp4", None, 1))}) == 5


def test_the_states_of_a_report() -> None:
    everything = {"new", "update", "end"}
    assert states_of(None, live=False) == {"end"} and states_of(None, live=True) == everything
    assert states_of("new", live=False) == {"new"} and states_of("all", live=False) == everything
    assert states_of("end", live=True) == {"end"}
    with pytest.raises(SettingError, match="events 'none': expected end, new, all"):
        states_of("none", live=True)


def test_a_slow_drift_of_the_clock_is_no_step() -> None:
    parked = event_times(Moment(0, 0.0, 1000.0), Moment(9, 36_000.0, 37_018.0))  # 500 ppm over ten hours
    assert parked["clock_step"] is None and parked["first_utc"] == utc(1018.0)
    passing = event_times(Moment(0, 0.0, 1000.0), Moment(9, 2.0, 999.0))
    assert passing["clock_step"] == -3.0 and passing["last_utc"] == utc(999.0)
    assert "first_utc" not in event_times(Moment(0, 0.0), Moment(9, 2.0))
