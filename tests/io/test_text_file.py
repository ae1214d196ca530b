"""Files of lines, replaced or added to."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edge_lpr.errors import OutputError
from edge_lpr.io.appended_text import AppendedText
from edge_lpr.io.csv_text import csv_row
from edge_lpr.io.text_file import LineFormat, ReplacedText, TextFile
from edge_lpr.outputs import csv as csv_output
from edge_lpr.outputs import jsonl as jsonl_output

FULL = Path("/dev/full")
LINES = LineFormat()
HEADED = LineFormat("a table", lambda line: line == "\ufeff车", lambda line: False, "\ufeff车\r\n", "\r\n")


@pytest.fixture
def warnings() -> list[str]:
    return []


@pytest.fixture
def small_files() -> Iterator[Callable[[int], None]]:
    """Limits how large files may become: a disk that fills up; a limit of 0 takes it away."""
    resource = pytest.importorskip("resource")
    signal = pytest.importorskip("signal")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def limit(size: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size or before[0], before[1]))

    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_a_file_takes_its_name_when_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "结果 1.jsonl"
    path.write_text("older")
    file = ReplacedText(path, LINES, print)
    file.write("车牌\n")
    assert path.read_text(encoding="utf-8") == "older"
    aside = [p for p in tmp_path.iterdir() if p != path]
    assert len(aside) == 1 and aside[0].read_text(encoding="utf-8") == "车牌\n"  # written through already
    file.close()
    file.close()
    assert path.read_text(encoding="utf-8") == "车牌\n" and list(tmp_path.iterdir()) == [path]
    with pytest.raises(OutputError, match="already closed"):
        file.write("x")


def test_what_is_given_up_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "o.jsonl").write_text("older")
    file = ReplacedText(tmp_path / "o.jsonl", LINES, print)
    file.write("x")
    file.discard()
    file.discard()
    assert [p.read_text() for p in tmp_path.iterdir()] == ["older"]


@pytest.mark.parametrize("kind", [ReplacedText, AppendedText])
def test_both_kinds_of_files(kind: type[TextFile], tmp_path: Path) -> None:
    # Text that is no Unicode, a link, and what cannot be opened.
    (tmp_path / "link").symlink_to(tmp_path / "real")
    file = kind(tmp_path / "link", LINES, print)
    file.write("bad \udcff name\n")
    file.close()
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_bytes() == b"bad \\udcff name\n"
    with pytest.raises(OutputError, match=r"there is no folder .*none; create it first"):
        kind(tmp_path / "none" / "a.csv", LINES, print)
    with pytest.raises(OutputError, match="it is a folder; expected a file"):
        kind(tmp_path, LINES, print)
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OutputError, match="loop: cannot be written"):
        kind(tmp_path / "loop", LINES, print)


def test_a_mark_for_excel_stands_at_the_start_of_a_file_alone(tmp_path: Path) -> None:
    for _ in range(2):
        file = AppendedText(tmp_path / "a.csv", HEADED, print)
        file.write("1\r\n")
        file.close()
    assert (tmp_path / "a.csv").read_bytes() == b"\xef\xbb\xbf" + "车\r\n1\r\n1\r\n".encode()
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    ReplacedText(tmp_path / "pipe", HEADED, print).close()
    AppendedText(tmp_path / "pipe", HEADED, print).close()
    assert os.read(reader, 99) == "车\r\n车\r\n".encode()
    os.close(reader)


@pytest.mark.parametrize(
    ("lines", "there", "then", "warned"),
    [
        (jsonl_output._LINES, b'{"a": 1}\n{"ha', b'{"a": 1}\nnew\n', True),
        (jsonl_output._LINES, b'{"a": 1}\n{"b": 2}', b'{"a": 1}\n{"b": 2}\nnew\n', False),
        (jsonl_output._LINES, b'{"a"', b"new\n", True),
        (jsonl_output._LINES, b'{"a": "' + b"x" * 200_000, b"new\n", True),
        (jsonl_output._LINES, b"", b"new\n", False),
        (HEADED, "\ufeff车\r\n1\r\n2".encode(), "\ufeff车\r\n1\r\nnew\n".encode(), True),
        (HEADED, "\ufeff".encode(), "\ufeff车\r\nnew\n".encode(), True),
    ],
)
def test_a_torn_last_line_is_cut_off(
    lines: LineFormat, there: bytes, then: bytes, warned: bool, tmp_path: Path, warnings: list[str]
) -> None:
    path = tmp_path / "o"
    path.write_bytes(there)
    file = AppendedText(path, lines, warnings.append)
    file.write("new\n")
    file.close()
    assert path.read_bytes() == then
    assert [f"{path}: its last line was torn and was cut off" in w for w in warnings] == [True] * warned


def test_a_torn_line_end_across_two_reads_is_found(tmp_path: Path) -> None:
    path = tmp_path / "o"
    whole = ("\ufeff车\r\n" + "x" * 20_000 + "\r\n").encode()
    for tail in range(65_530, 65_545):
        path.write_bytes(whole + b"y" * tail)
        AppendedText(path, HEADED, lambda _: None).close()
        assert path.read_bytes() == whole


@pytest.mark.parametrize("there", [b"my notes\n", b"my notes", b"\0\1\2\xff" * 99, b"[1, 2]\n"])
@pytest.mark.parametrize("lines", [jsonl_output._LINES, csv_output._LINES])
def test_what_is_something_else_is_not_added_to(lines: LineFormat, there: bytes, tmp_path: Path) -> None:
    (tmp_path / "o").write_bytes(there)
    with pytest.raises(OutputError, match=r"o: not a \w+ .* to add to; give a new file, or move this one"):
        AppendedText(tmp_path / "o", lines, print)
    assert (tmp_path / "o").read_bytes() == there


def test_a_table_of_other_columns_is_not_added_to(tmp_path: Path) -> None:
    (tmp_path / "o").write_text("\ufeff" + csv_row(csv_output._columns()[:-1]), encoding="utf-8")
    with pytest.raises(OutputError, match="not a table with the columns of this version"):
        AppendedText(tmp_path / "o", csv_output._LINES, print)


def test_each_line_is_on_the_disk_when_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", lambda number: synced.append(os.fstat(number).st_size))
    file = AppendedText(tmp_path / "o", LINES, print)
    synced.clear()
    for _ in range(3):
        file.write("12\n34\n")
    file.write("")  # nothing to put on the disk
    file.close()
    assert synced == [6, 12, 18]


def test_two_runs_do_not_add_to_one_file(tmp_path: Path) -> None:
    file = AppendedText(tmp_path / "o", LINES, print)
    code = "import sys, pathlib; from edge_lpr.io.appended_text import *\n"
    code += "from edge_lpr.io.text_file import *\n"
    code += "AppendedText(pathlib.Path(sys.argv[1]), LineFormat(), print)"
    other = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "o")], capture_output=True, text=True, check=False
    )
    assert "o: another run is writing to it; give each run a file of its own" in other.stderr
    file.close()
    AppendedText(tmp_path / "o", LINES, print).close()


def test_a_file_that_was_deleted_or_moved_away_is_begun_again(tmp_path: Path, warnings: list[str]) -> None:
    path = tmp_path / "o.csv"
    file = AppendedText(path, HEADED, warnings.append)
    file.write("1\r\n")
    path.unlink()
    file.write("2\r\n")
    assert path.read_text("utf-8") == "\ufeff车\n2\n"
    path.rename(tmp_path / "o.csv.1")  # as logrotate does
    path.write_text("")
    file.write("3\r\n")
    file.close()
    assert path.read_text("utf-8") == "\ufeff车\n3\n" and (tmp_path / "o.csv.1").exists()
    assert warnings == [f"{path}: was deleted or moved away; begun again"] * 2


def test_results_that_were_deleted_while_they_were_written_are_there_in_the_end(
    tmp_path: Path, warnings: list[str]
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    file = ReplacedText(folder / "o", LINES, warnings.append)
    file.write("1\n")
    shutil.rmtree(folder)
    file.write("2\n")
    file.close()
    assert [p.read_text() for p in folder.iterdir()] == ["1\n2\n"]
    assert warnings == [f"{folder / 'o'}: was deleted while it was written, and is there again"]


def test_a_disk_that_fills_up_keeps_the_older_file_and_the_part(
    tmp_path: Path, small_files: Callable[[int], None]
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("older")
    file = ReplacedText(path, LINES, print)
    small_files(100)
    with pytest.raises(OutputError) as caught:
        for _ in range(50):
            file.write("0123456789abcde\n")
    file.close()
    # Before the test ends: what pytest says of it goes into a file too, maybe.
    small_files(0)
    (part,) = (p for p in tmp_path.iterdir() if p != path)
    assert path.read_text() == "older" and part.read_text() == "0123456789abcde\n" * 6
    assert str(caught.value) == (
        f"{path}: cannot be written (File too large); what was written lies in {part}; {path} is as it was"
    )


def test_a_disk_that_has_room_again_is_written_to_again(
    tmp_path: Path, small_files: Callable[[int], None]
) -> None:
    file = AppendedText(tmp_path / "o", LINES, print)
    file.write("1234567\n")
    small_files(12)
    for _ in range(2):
        with pytest.raises(OutputError, match=r"o: cannot be written \(File too large\)"):
            file.write("7654321\n")
    small_files(0)
    file.write("abc\n")
    file.close()
    assert (tmp_path / "o").read_text() == "1234567\nabc\n"


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
@pytest.mark.parametrize("kind", [ReplacedText, AppendedText])
def test_a_device_is_written_to_as_it_is(kind: type[TextFile]) -> None:
    file = kind(FULL, LINES, print)
    with pytest.raises(OutputError, match=r"^/dev/full: cannot be written \(No space left on device\)$"):
        file.write("x\n")
    file.close()
    assert FULL.is_char_device()


def test_a_pipe_whose_reader_left_does_not_hold_the_run(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    file = AppendedText(tmp_path / "pipe", LINES, print)
    os.close(reader)
    for _ in range(2):
        with pytest.raises(OutputError, match="pipe: cannot be written"):
            file.write("1\n")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    file.write("2\n")
    assert os.read(reader, 9) == b"2\n"
    os.close(reader)
    file.close()
