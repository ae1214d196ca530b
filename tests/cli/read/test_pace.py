"""A note where a video is read slower than it plays."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.terminal import Terminal
from helpers.videos import write_video

from edge_lpr.cli import main
from edge_lpr.cli.read import pace
from edge_lpr.cli.read.pace import Pace

Make = Callable[..., Any]


def notes(source: Any, a_frame: Make, stride: int, spent: float, count: int = 40) -> list[str | None]:
    """What is said over so many frames of 25 a second, of which each takes so many seconds to be read."""
    now = [0.0]
    noticed = Pace(source, stride, lambda: now[0])
    said = []
    for index in range(0, count * stride, stride):
        now[0] += spent
        said.append(noticed.note(a_frame(index, index / 25)))
    return said


def test_it_is_said_once_as_soon_as_it_is_known_with_what_to_type(a_source: Make, a_frame: Make) -> None:
    source = a_source()
    source.total = 251
    said = notes(source, a_frame, 1, 0.1)  # ten frames a second
    assert said[:40] == [None] * 40 and notes(source, a_frame, 1, 0.1, 100)[41:] == [None] * 59
    (line,) = [line for line in notes(source, a_frame, 1, 0.1, 100) if line]
    assert line == (
        "street.mp4: is read 2.5 times slower than it plays, and takes about 21.1 s more; --stride 3 reads "
        "one frame of 3 and keeps up"
    )


def test_a_stride_that_does_not_do_is_answered_by_one_that_does(a_source: Make, a_frame: Make) -> None:
    (line,) = [line for line in notes(a_source(), a_frame, 2, 0.2, 100) if line]
    assert "--stride 5 reads one frame of 5" in line and "more" not in line


def test_what_keeps_up_or_has_no_pace_is_left_alone(a_source: Make, a_frame: Make) -> None:
    assert not any(notes(a_source(), a_frame, 1, 0.04, 300))
    for flags in ({"live": True}, {"is_image": True}):
        assert not any(notes(a_source(**flags), a_frame, 1, 1.0))
    noticed = Pace(a_source(), 1)
    assert noticed.note(a_frame(0, None)) is None


@pytest.mark.parametrize(
    ("options", "is_terminal", "said"), [([], True, 1), (["--quiet"], True, 0), ([], False, 0)]
)
def test_the_command_says_it_on_a_terminal_unless_it_is_quiet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], is_terminal: bool, said: int
) -> None:
    monkeypatch.setattr(pace, "_LOOK_SECONDS", 0.0)
    monkeypatch.setattr(pace, "_FRAMES", 3)
    monkeypatch.setattr(pace, "_ENOUGH", 1e9)
    screen = Terminal()
    monkeypatch.setattr(screen, "isatty", lambda: is_terminal)
    monkeypatch.setattr(sys, "stderr", screen)
    assert main([str(write_video(tmp_path / "v.avi", 6)), "--threads", "1", *options]) == 0
    assert screen.getvalue().count("times slower than it plays") == said
