"""Where lines of text go."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from edge_lpr.errors import OutputError
from edge_lpr.io.text_file import LineFormat
from edge_lpr.outputs import RunInfo
from edge_lpr.outputs._text import TextOut


class _Broken(io.StringIO):
    """A stream whose end is as an error says."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error

    def flush(self) -> None:
        raise self.error


def test_a_file_takes_its_name_when_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "结果.txt"
    out = TextOut(path, RunInfo(), LineFormat(head="\ufeff头\n"))
    assert out.stream is None
    out.write("车牌\n")
    assert not path.exists()
    out.close()
    out.close()
    assert path.read_bytes() == b"\xef\xbb\xbf" + "头\n车牌\n".encode()


def test_where_nothing_was_read_the_older_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "o.txt"
    path.write_text("older")
    TextOut(path, RunInfo()).close()
    assert [p.read_text() for p in tmp_path.iterdir()] == ["older"]
    out = TextOut(path, RunInfo())
    out.write("")  # something was, and nothing found in it
    out.close()
    assert [p.read_text() for p in tmp_path.iterdir()] == [""]


def test_a_live_run_appends(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("before\n")
    out = TextOut(path, RunInfo(live=True))
    out.write("after\n")
    assert path.read_text() == "before\nafter\n"
    out.close()


def test_the_progress_line_is_cleared_before_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    cleared: list[str] = []
    out = TextOut("-", RunInfo(clear=lambda: cleared.append(capsys.readouterr().out)))
    out.write("a\n")
    out.write("b\n")
    assert cleared == ["", "a\n"]
    out.close()
    print("still open")
    assert capsys.readouterr().out == "b\nstill open\n"


def test_a_stream_is_left_open() -> None:
    stream = io.StringIO()
    out = TextOut(stream, RunInfo())
    out.write("a")
    out.close()
    assert stream.getvalue() == "a" and not stream.closed


def test_a_reader_that_left_is_no_fault_and_a_full_disk_is_one() -> None:
    with pytest.raises(BrokenPipeError):
        TextOut(_Broken(BrokenPipeError(32, "Broken pipe")), RunInfo()).write("a")
    with pytest.raises(
        OutputError, match=r"^standard output: cannot be written \(No space left on device\)$"
    ):
        TextOut(_Broken(OSError(28, "No space left on device")), RunInfo()).write("a")
