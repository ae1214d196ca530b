"""Work in hand."""

from __future__ import annotations

import threading
import time

import pytest

from edge_lpr.health.activity import Activity


def test_work_is_in_hand_from_its_beginning_to_its_end() -> None:
    activity = Activity("the models")
    assert activity.seconds == 0 and activity.pieces() == []
    with activity:
        time.sleep(0.02)
        assert activity.seconds >= 0.02 and len(activity.pieces()) == 1
    assert activity.seconds == 0
    with pytest.raises(ValueError, match="broken"), activity:
        raise ValueError("broken")
    assert activity.pieces() == []


def test_each_thread_has_its_own_and_the_oldest_counts() -> None:
    activity, begun, go_on = Activity("the models"), threading.Event(), threading.Event()

    def work() -> None:
        with activity:
            begun.set()
            go_on.wait()

    thread = threading.Thread(target=work)
    thread.start()
    begun.wait()
    with activity:
        assert len(activity.pieces()) == 2
        own = time.monotonic() - dict(activity.pieces())[threading.get_ident()]
        assert activity.seconds > own
    go_on.set()
    thread.join()
    assert activity.pieces() == []
