"""Lines on the terminal."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_lpr.io.sources import Target
from edge_lpr.outputs import LinesOutput, Result, RunInfo, results
from edge_lpr.outputs.lines import line_of
from edge_lpr.pipeline.settings import ReadSettings
from edge_lpr.pipeline.stream import FrameResult
from edge_lpr.pipeline.wall_clock import utc

Make = Callable[..., Any]


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_line_of_an_event(an_event: Make, a_source: Make) -> None:
    result = Result(a_source(), None, an_event(), "street.mp4")
    line = "street.mp4  00:01.2-00:02.5  皖A13H25   blue       0.90  min 0.80  9 reads"
    assert line_of(result, 10, io.StringIO()) == line
    hours = Result(a_source(), None, an_event(first_seen=3599.96, last_seen=7325, reads=1), "street.mp4")
    assert "  1:00:00.0-2:02:05.0  " in line_of(hours, 10, io.StringIO())
    assert line_of(hours, 10, io.StringIO()).endswith("1 read")


def test_a_line_of_an_image_and_of_a_frame(a_read: Make, a_source: Make, a_frame: Make) -> None:
    image = Result(a_source(is_image=True), a_frame(0, None, "a.png"), a_read(), "a.png")
    assert line_of(image, 8, io.StringIO()) == "a.png     皖A13H25   blue       0.99  min 0.90"
    frame = Result(a_source(), a_frame(5, 0.2), a_read(), "street.mp4")
    assert line_of(frame, 10, io.StringIO()).startswith("street.mp4  00:00.2  皖A13H25")


def test_a_line_of_a_camera_has_the_time_of_day(an_event: Make, a_source: Make) -> None:
    event = an_event(first_utc=utc(1_700_000_001.2), last_utc=utc(1_700_000_002.5), state="new")
    line = line_of(Result(a_source("camera 0"), None, event, "camera 0"), 8, io.StringIO())
    assert line.split()[3:5] == ["new", "皖A13H25"]
    first, last = line.split()[2].split("-")
    assert first[2] == first[5] == ":" and first[-2:] == "21" and last[-2:] == "22"


def test_a_path_is_kept_whole_where_it_is_piped(an_event: Make, a_source: Make) -> None:
    name = "/very/long/" * 10 + "a\x1b.mp4"
    line = line_of(Result(a_source(name), None, an_event(), name), 40, io.StringIO())
    assert line.startswith("/very/long/" * 10 + "a\ufffd.mp4  ")


def test_a_doubtful_character_is_marked_on_a_terminal(
    an_event: Make, a_source: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    for min_score, marked in ((ReadSettings.min_score - 0.01, True), (ReadSettings.min_score, False)):
        line = line_of(Result(a_source(), None, an_event(min_score=min_score), "a.mp4"), 8, Terminal())
        assert (f"\x1b[33mmin {min_score:.2f}\x1b[0m" in line) == marked


def test_lines_go_to_standard_output_below_the_widest_source(
    an_event: Make, a_source: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    targets = [Target("video", name, (Path(name),)) for name in ("street.mp4", "long-street.mp4")]
    found = FrameResult(a_source(), None, [], [an_event(), an_event()], True)
    with LinesOutput(run=RunInfo(targets, clear=lambda: print("cleared"))) as out:
        out.write(found, results(found))
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == lines[2] == "cleared" and lines[1] == lines[3]
    assert lines[1].startswith("street.mp4       00:01.2-00:02.5  皖A13H25")
