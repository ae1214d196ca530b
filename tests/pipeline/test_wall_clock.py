"""A clock that is set while the kit runs."""

from __future__ import annotations

import pytest

from edge_lpr.pipeline.wall_clock import ClockWatch


def test_a_step_is_noticed_once_and_its_size_told() -> None:
    times = {"wall": 1000.0, "running": 5.0}
    watch = ClockWatch(lambda: times["wall"], lambda: times["running"])
    assert watch.step() is None
    times.update(wall=1001.0, running=6.0)
    assert watch.step() is None
    times.update(wall=1_700_000_002.0, running=7.0)
    assert watch.step() == pytest.approx(1_699_999_000.0)
    assert watch.step() is None
    times.update(wall=1_699_999_990.0, running=8.0)
    assert watch.step() == pytest.approx(-13.0)


def test_what_ntp_slews_is_no_step() -> None:
    times = {"wall": 0.0, "running": 0.0}
    watch = ClockWatch(lambda: times["wall"], lambda: times["running"])
    for _ in range(100):
        times["wall"] += 1.0005
        times["running"] += 1.0
        assert watch.step() is None


def test_the_machine_s_own_clocks_agree() -> None:
    assert ClockWatch().step() is None
