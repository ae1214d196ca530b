"""The progress line, drawn into a text that says it is a terminal."""

from __future__ import annotations

import io
import re

import pytest

from edge_lpr.console import progress as module
from edge_lpr.console.progress import Progress, clip, columns, duration, pad, printable


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(module.time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")
    return Clock(monkeypatch)


def lines(out: io.StringIO) -> list[str]:
    return [part.replace("\x1b[K", "").strip() for part in out.getvalue().replace("\n", "\r").split("\r")]


def test_rate_and_time_left_after_two_seconds(clock: Clock) -> None:
    out = Terminal()
    with Progress("street.mp4", 100, stream=out) as progress:
        for _ in range(50):
            clock.now += 0.1
            progress.update(plates=1)
            if clock.now <= 101.9:
                assert out.getvalue() == ""
    drawn = [line for line in lines(out) if line]
    assert re.fullmatch(r"street\.mp4  2[01]%  2[01]/100 frames  10\.0/s  [78]\.\d s left  1 plate", drawn[0])
    assert drawn[-1] == "street.mp4: done, 50 of 100 frames in 5.0 s (10.0 frames/s), 1 plate"


def test_no_end_no_time_left(clock: Clock) -> None:
    out = Terminal()
    progress = Progress("camera 0", stream=out)
    for _ in range(30):
        clock.now += 0.2
        progress.update(plates=2, dropped=5)
    assert "left" not in out.getvalue()
    assert lines(out)[-1] == "camera 0  30 frames  5.0/s  6.0 s  2 plates  5 dropped"


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
    progress.note("note")
    assert out.getvalue().endswith("\r\x1b[Knote\n")
    progress.clear()
    assert out.getvalue().endswith("note\n")


def test_a_long_line_fits_the_terminal(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    out = Terminal()
    progress = Progress("中文中文中文中文中文中文", stream=out)
    clock.now += 5
    progress.update()
    assert columns(lines(out)[-1]) <= 19


def test_colour_only_where_it_is_wanted(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    assert module.paint("x", "1", Terminal()) == "x"
    monkeypatch.delenv("NO_COLOR")
    assert module.paint("x", "1", Terminal()) == "\x1b[1mx\x1b[0m"
    assert module.paint("x", "1", io.StringIO()) == "x"
    monkeypatch.setenv("TERM", "dumb")
    assert module.paint("x", "1", Terminal()) == "x"


def test_columns_clipping_and_padding() -> None:
    assert columns("皖A1") == 4 and pad("皖", 4) == "皖  " and pad("abc", 2) == "abc"
    assert clip("abcdef", 6) == "abcdef" and clip("abcdef", 4) == "abc…"
    assert clip("abcdef", 4, tail=True) == "…def" and clip("皖皖皖", 4) == "皖…"


def test_durations() -> None:
    assert [duration(s) for s in (0.04, 8.5, 61, 3723)] == ["0.0 s", "8.5 s", "01:01", "1:02:03"]


def test_names_cannot_drive_the_terminal() -> None:
    assert printable("a\x1b]0;x\x07\nb\u202e") == "a\ufffd]0;x\ufffd\ufffdb\ufffd"
