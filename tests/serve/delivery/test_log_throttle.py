from __future__ import annotations

from edge_lpr.serve.delivery.log_throttle import LogThrottle


def test_something_is_said_once_a_minute() -> None:
    said = LogThrottle()
    assert said.may_say("a", 0)
    assert said.may_say("b", 1)
    assert not said.may_say("a", 59)
    assert said.may_say("a", 60)
    assert not said.may_say("a", 61)
