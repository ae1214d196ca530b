"""The progress line, drawn into a text that says it is a terminal."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import time

import pytest
from helpers.terminal import Terminal

from edge_lpr.console.progress import Progress
from edge_lpr.console.text import columns


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")
    return Clock(monkeypatch)


def test_rate_and_time_left_after_two_seconds(clock: Clock) -> None:
    out = Terminal()
    with Progress("street.mp4", 100, stream=out) as progress:
        for _ in range(50):
            clock.now += 0.1
            progress.update(plates=1)
            if clock.now <= 101.9:
                assert out.getvalue() == ""
    drawn = [line for line in out.shown if line]
    assert re.fullmatch(r"street\.mp4  2[01]%  2[01]/100 frames  10\.0/s  [78]\.\d s left  1 plate", drawn[0])
    assert out.screen == "street.mp4: done, 50 of 100 frames in 5.0 s (10.0 frames/s), 1 plate\n"


def test_no_end_no_time_left(clock: Clock) -> None:
    out = Terminal()
    progress = Progress("camera 0", stream=out)
    for _ in range(30):
        clock.now += 0.2
        progress.update(plates=2, dropped=5)
    assert "left" not in out.getvalue()
    assert out.screen == "camera 0  30 frames  5.0/s  6.0 s  2 plates  5 dropped"


@pytest.mark.parametrize(
    ("error", "state"), [(KeyboardInterrupt(), "interrupted"), (ValueError(), "failed"), (None, "done")]
)
def test_end_states(clock: Clock, error: BaseException | None, state: str) -> None:
    out = Terminal()
    try:
        with Progress("a", unit="images", stream=out) as progress:
            clock.now += 1
            progress.update()
            if error is not None:
                raise error  # noqa: TRY301
    except BaseException as e:
        assert e is error
    assert out.getvalue() == f"a: {state}, 1 image in 1.0 s\n"


def test_a_named_end_state_stands(clock: Clock) -> None:
    out = Terminal()
    with Progress("a", stream=out) as progress:
        progress.end("source lost")
    assert out.getvalue() == "a: source lost, 0 frames in 0.0 s\n"


def test_piped_it_says_only_its_notes(clock: Clock) -> None:
    out = io.StringIO()
    with Progress("a", 10, stream=out) as progress:
        clock.now += 5
        progress.update(5)
        progress.note("edge-lpr: something")
    assert out.getvalue() == "edge-lpr: something\n"


def test_a_note_takes_the_line_away_first(clock: Clock) -> None:
    out = Terminal()
    progress = Progress("a", stream=out)
    clock.now += 5
    progress.update()
    assert out.screen == "a  1 frame  0.2/s  5.0 s"
    progress.note("note")
    assert out.screen == "note\n"
    progress.clear()
    assert out.screen == "note\n"
    clock.now += 5
    progress.update()
    assert out.screen == "note\na  2 frames  0.2/s  10.0 s"


def test_a_long_line_fits_the_terminal(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    out = Terminal()
    progress = Progress("中文中文中文中文中文中文", stream=out)
    clock.now += 5
    progress.update()
    assert columns(out.screen) <= 19


def test_a_long_name_leaves_room_for_the_figures(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    out = Terminal()
    progress = Progress("/a/very/long/path/to/some/folder/of/videos/street.mp4", 100, stream=out)
    clock.now += 5
    progress.update(50)
    assert out.screen == "…/videos/street.mp4  50%  50/100 frames  10.0/s  5.0 s left"


def test_the_rate_is_that_of_the_last_seconds(clock: Clock) -> None:
    out = Terminal()
    progress = Progress("a", 1000, stream=out)
    for _ in range(40):
        clock.now += 0.5
        progress.update()
    for _ in range(60):
        clock.now += 0.1
        progress.update()
    assert out.screen == "a  10%  100/1000 frames  10.0/s  01:30 left"


def test_seldom_updates_have_the_rate_of_the_whole_time(clock: Clock) -> None:
    out = Terminal()
    progress = Progress("a", 4, "steps", stream=out)
    for _ in range(2):
        clock.now += 10
        progress.update(step="fuse")
    assert out.screen == "a  50%  2/4 steps  0.1/s  20.0 s left  fuse step"


def test_the_cursor_is_never_left_hidden(clock: Clock) -> None:
    out = Terminal()
    progress = Progress("a", stream=out)
    for _ in range(3):
        clock.now += 5
        progress.update()
        assert out.getvalue().rfind("\x1b[?25h") > out.getvalue().rfind("\x1b[?25l")


@pytest.mark.parametrize("draws", [False, True])
def test_rich_is_imported_for_a_line_alone(draws: bool) -> None:
    code = """
import io, sys
from edge_lpr.console import progress
progress.QUIET_SECONDS = progress.REDRAW_SECONDS = 0
class Terminal(io.StringIO):
    def isatty(self): return sys.argv[1] == "True"
with progress.Progress("a", stream=Terminal()) as p:
    p.update()
print("rich.progress" in sys.modules)
"""
    shown = subprocess.run(
        [sys.executable, "-c", code, str(draws)], check=True, capture_output=True, text=True
    )
    assert shown.stdout == f"{draws}\n"


def test_the_line_is_coloured_where_that_is_wanted(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    for no_color, colored in (("1", False), ("", True)):
        monkeypatch.setenv("NO_COLOR", no_color)
        out = Terminal()
        with Progress("a", stream=out) as progress:
            clock.now += 5
            progress.update()
        assert ("\x1b[2ma  1 frame" in out.getvalue()) == colored
        assert ("\x1b[32ma: done" in out.getvalue()) == colored
        assert (re.search(r"\x1b\[[0-9;]*m", out.getvalue()) is not None) == colored
