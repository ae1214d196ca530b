"""Tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_lpr.outputs import FIELDS, CsvOutput, Result, RunInfo
from edge_lpr.pipeline.stream import FrameResult

Make = Callable[..., Any]
NAMES = [name for name, _, _ in FIELDS]


@pytest.fixture
def nothing(a_source: Make) -> FrameResult:
    """The end of a source, with nothing in view."""
    return FrameResult(a_source(), None, [], [], True)


def test_a_csv_table_opens_in_excel_and_reads_back(
    tmp_path: Path, an_event: Make, a_source: Make, nothing: FrameResult
) -> None:
    with CsvOutput(tmp_path / "a.csv") as out:
        out.write(nothing, [Result(a_source(), None, an_event(), 'a, "b"\nc.mp4')])
    assert (tmp_path / "a.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    with (tmp_path / "a.csv").open(encoding="utf-8-sig", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["source"] == 'a, "b"\nc.mp4' and row["text"] == "皖A13H25" and row["first_utc"] == ""
    corners = [float(row[f"{axis}{i}"]) for i in (1, 2, 3, 4) for axis in "xy"]
    assert corners == [10, 20, 110, 20, 110, 50, 10, 50]
    assert row["char_scores"] == "0.8 1.0"
    expected = [
        n
        for name in NAMES
        for n in ([f"{a}{i}" for i in range(1, 5) for a in "xy"] if name == "corners" else [name])
    ]
    assert list(row) == expected


@pytest.mark.parametrize(
    "name", ["=cmd|'/c calc'!A1", "+1", "-1", "@SUM(1)", "\t=1", "\r=1", " =1", "＝1", "＠1"]
)
def test_a_csv_cell_is_never_a_formula(
    name: str, an_event: Make, a_source: Make, nothing: FrameResult
) -> None:
    out = io.StringIO()
    CsvOutput(out).write(nothing, [Result(a_source(), None, an_event(text=name), name)])
    _, row = csv.reader(io.StringIO(out.getvalue(), newline=""))
    assert row[2] == row[3] and row[2].startswith("'") and row[2].replace("'", "") == name.replace("'", "")


def test_a_table_that_is_appended_to_has_one_header(
    tmp_path: Path, an_event: Make, a_source: Make, nothing: FrameResult
) -> None:
    for _ in range(2):
        with CsvOutput(tmp_path / "a.csv", RunInfo(live=True)) as out:
            out.write(nothing, [Result(a_source(), None, an_event(), "camera 0")])
    lines = (tmp_path / "a.csv").read_text("utf-8-sig").splitlines()
    assert len(lines) == 3 and lines[0].startswith('"version","type","source"')


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_another_separator_begins_no_formula(
    separator: str, an_event: Make, a_source: Make, nothing: FrameResult
) -> None:
    name = f'a{separator}=cmd{separator}"{separator}@SUM(1)"{separator}b.mp4'
    out = io.StringIO()
    CsvOutput(out).write(nothing, [Result(a_source(), None, an_event(text=name), name)])
    for row in csv.reader(io.StringIO(out.getvalue(), newline=""), delimiter=separator):
        assert not any(cell.lstrip('" ').startswith(("=", "@", "+")) for cell in row)
    assert out.getvalue().startswith('"version","type",')


def test_a_name_without_a_formula_stays_as_it_is(
    an_event: Make, a_source: Make, nothing: FrameResult
) -> None:
    out = io.StringIO()
    name = "cam-1/2026-11-26 a=b; c+d, e.mp4"
    CsvOutput(out).write(nothing, [Result(a_source(), None, an_event(), name)])
    _, row = csv.reader(io.StringIO(out.getvalue(), newline=""))
    assert row[2] == name
