"""JSON lines."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edge_lpr.errors import OutputError
from edge_lpr.outputs import JsonlOutput, RunInfo, results
from edge_lpr.pipeline.stream import FrameResult

Make = Callable[..., Any]


def test_json_lines_hold_no_nan_and_are_plain_utf8(a_read: Make, a_source: Make, a_frame: Make) -> None:
    out = io.StringIO()
    item = a_read(score=math.nan, min_score=math.inf, corners=np.full((4, 2), np.nan, np.float32))
    found = FrameResult(a_source(), a_frame(), [item], [], False)
    JsonlOutput(out).write(found, results(found))

    def refuse(text: str) -> float:
        raise AssertionError(text)

    line = json.loads(out.getvalue(), parse_constant=refuse)
    assert line["score"] is None and line["min_score"] is None and line["corners"] == [[None, None]] * 4
    assert "皖A13H25" in out.getvalue() and out.getvalue().count("\n") == 1


def test_a_file_is_there_once_it_is_complete(tmp_path: Path, an_event: Make, a_source: Make) -> None:
    file = tmp_path / "plates.jsonl"
    found = FrameResult(a_source(), None, [], [an_event(), an_event(text="川A12345")], True)
    with JsonlOutput(file) as out:
        out.write(found, results(found))
        assert not file.exists()
    assert [json.loads(line)["text"] for line in file.read_text("utf-8").splitlines()] == [
        "皖A13H25",
        "川A12345",
    ]
    out.close()  # closing twice is no error


def test_a_live_run_is_appended(tmp_path: Path, an_event: Make, a_source: Make) -> None:
    file = str(tmp_path / "plates.jsonl")
    found = FrameResult(a_source(), None, [], [an_event()], True)
    for lines in (1, 2):
        with JsonlOutput(file, RunInfo(live=True)) as out:
            out.write(found, results(found))
            assert Path(file).read_text("utf-8").count("\n") == lines


def test_standard_output_is_written_to_once_the_progress_line_is_cleared(
    an_event: Make, a_source: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    found = FrameResult(a_source(), None, [], [an_event()], True)
    with JsonlOutput("-", RunInfo(clear=lambda: print("cleared"))) as out:
        out.write(found, results(found))
    first, second = capsys.readouterr().out.splitlines()
    assert first == "cleared" and json.loads(second)["text"] == "皖A13H25"


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"there is no folder .*none; create it first"):
        JsonlOutput(tmp_path / "none" / "plates.jsonl")
