"""`EventOptions` beside the command's options of sources."""

from __future__ import annotations

from edge_lpr.io.capture_options import CaptureOptions
from edge_lpr.pipeline.event_options import EventOptions


def test_events_take_every_option_of_a_source_that_the_command_has() -> None:
    assert set(EventOptions.__annotations__) == {"report", "rotate", "flip", *CaptureOptions.names()}
