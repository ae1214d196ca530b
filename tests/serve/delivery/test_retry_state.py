from __future__ import annotations

import random

import pytest
from helpers.extras import reason

pytest.importorskip("pydantic", reason=reason("pydantic", "serve"))

from edge_lpr.serve.delivery.items import DeliveryError
from edge_lpr.serve.delivery.retry_state import RetryState, pause_after


def test_pauses_double_up_to_the_longest_and_are_not_all_the_same() -> None:
    chance = random.Random(3)
    for failures, whole in [(1, 1), (2, 2), (5, 16), (9, 100), (1000, 100)]:
        pauses = {pause_after(failures, 100, chance) for _ in range(50)}
        assert whole / 2 <= min(pauses) < max(pauses) <= whole
        assert len(pauses) > 40


def test_a_receiver_does_not_send_one_away_for_a_year() -> None:
    state = RetryState(random.Random(1))
    assert state.failed("a", DeliveryError("503", after=3e7), most=300, now=0) == 3000


def test_who_waits_no_more_is_waited_for_no_more() -> None:
    state = RetryState(random.Random(1))
    pause = state.failed("dropped meanwhile", DeliveryError("500", whole=False), most=300, now=0)
    assert state.next_time(0) == pause
    assert state.next_time(pause + 1) == 60  # and not at once, again and again
    state.failed("other", DeliveryError("500", whole=False), most=300, now=10_000)
    assert list(state._passages) == ["other"]
