from __future__ import annotations

import logging

import pytest

from edge_lpr.backends.tensorrt.log import KEPT_LINES, Log


def test_the_log_keeps_errors_since_a_mark(caplog: pytest.LogCaptureFixture) -> None:
    log = Log()
    log.add("ERROR", "before")
    mark = log.mark()
    assert log.since(mark) == ""
    log.add("WARNING", "no error")
    log.add("ERROR", "[graph.cpp]\n  node_7 is unsupported")
    log.add("INTERNAL_ERROR", "broken")
    log.add("INTERNAL_ERROR", "broken")
    assert log.since(mark) == "[graph.cpp] node_7 is unsupported; broken"
    with caplog.at_level(logging.DEBUG, "edge_lpr.tensorrt"):
        log.add("VERBOSE", "details")
    assert caplog.messages == ["details"]


def test_the_log_is_bounded() -> None:
    log = Log()
    for number in range(3 * KEPT_LINES):
        log.add("ERROR", str(number))
    assert len(log.since(0).split("; ")) == KEPT_LINES
