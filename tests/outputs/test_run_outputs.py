"""The sinks of one run, and the lines on the terminal."""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_lpr.io.sources import Target
from edge_lpr.outputs.records import Result
from edge_lpr.outputs.run_outputs import Outputs, line_of
from edge_lpr.pipeline.stream import FrameResult

Make = Callable[..., Any]


def options(**changes: object) -> argparse.Namespace:
    values: dict[str, object] = {"jsonl": None, "csv": None, "save": None, "crops": None, "quiet": False}
    return argparse.Namespace(**{**values, **changes})


class Gone(io.StringIO):
    """Standard output whose reader has left."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")


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
    line = line_of(
        Result(a_source("camera 0", started=1_700_000_000.0), None, an_event(), "camera 0"), 8, io.StringIO()
    )
    first, last = line.split()[2].split("-")
    assert first[2] == first[5] == ":" and first[-2:] == "21" and last[-2:] == "22"


def test_a_path_is_kept_whole_where_it_is_piped(an_event: Make, a_source: Make) -> None:
    name = "/very/long/" * 10 + "a\x1b.mp4"
    line = line_of(Result(a_source(name), None, an_event(), name), 40, io.StringIO())
    assert line.startswith("/very/long/" * 10 + "a\ufffd.mp4  ")


def test_nothing_is_lost_when_the_reader_of_our_output_leaves(
    tmp_path: Path, an_event: Make, a_source: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", Gone())
    targets = [Target("video", "street.mp4", (Path("street.mp4"),))]
    outputs = Outputs(options(jsonl=str(tmp_path / "o.jsonl")), targets, print, lambda: None)
    step = FrameResult(a_source(), None, [], [an_event(), an_event()])
    with pytest.raises(BrokenPipeError):
        outputs.write(step, tracked=True)
    outputs.write(step, tracked=True)  # the vehicles still in view, on the way out
    outputs.close()
    assert (tmp_path / "o.jsonl").read_text(encoding="utf-8").count("\n") == 4 and not outputs.failed


def test_a_failing_sink_is_named_once_and_the_rest_goes_on(
    tmp_path: Path, an_event: Make, a_source: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    lines: list[str] = []
    targets = [Target("video", "street.mp4", (Path("street.mp4"),))]
    crops = tmp_path / "crops"
    outputs = Outputs(
        options(crops=str(crops), jsonl=str(tmp_path / "o")), targets, lines.append, lambda: None
    )
    crops.rmdir()
    for _ in range(2):
        outputs.write(FrameResult(a_source(), None, [], [an_event()]), tracked=True)
    outputs.close()
    assert len(lines) == 1 and "there is no folder" in lines[0] and outputs.failed
    assert (tmp_path / "o").read_text(encoding="utf-8").count('"crop": null') == 2
    assert capsys.readouterr().out.count("皖A13H25") == 2 and outputs.count == 2
