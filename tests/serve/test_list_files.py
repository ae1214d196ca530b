"""Files of plates: as spreadsheets write them, and what is wrong with one."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from edge_lpr.errors import InputError
from edge_lpr.serve import list_files
from edge_lpr.serve.list_files import read_list
from edge_lpr.serve.plate_entry import PlateEntry

TEXT = 'plate,name,until\n京A12345,张三,2027-01-31\n\n沪B88888,"Li, Si",\n'
EXPECTED = [PlateEntry("京A12345", "张三", date(2027, 1, 31)), PlateEntry("沪B88888", "Li, Si")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "gb18030"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_as_spreadsheets_save_them(tmp_path: Path, encoding: str, end: str) -> None:
    file = tmp_path / "known.csv"
    file.write_bytes(TEXT.replace("\n", end).encode(encoding))
    assert read_list(file) == EXPECTED


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("京A12345\n", [PlateEntry("京A12345")]),
        ("京A12345;张三\n", [PlateEntry("京A12345", "张三")]),
        ("name\tplate\n张三\t京A12345\n", [PlateEntry("京A12345", "张三")]),
        ("plate,name\n京A12345,张三,,\n", [PlateEntry("京A12345", "张三")]),
        ("plate,until\n京A12345,2027/01/31\n", [PlateEntry("京A12345", "", date(2027, 1, 31))]),
        ("", []),
        ("plate,name,until\n", []),
    ],
)
def test_forms(tmp_path: Path, text: str, expected: list[PlateEntry]) -> None:
    file = tmp_path / "known.csv"
    file.write_text(text, encoding="utf-8")
    assert read_list(file) == expected


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("plate,name\n京A12345,张三\n,李四\n".encode(), "line 3: no plate in it"),
        ("plate,until\n京A12345,soon\n".encode(), "line 2: until 'soon': expected a day as 2027-01-31"),
        (b"plate\n" + b"A" * 17 + b"\n", "line 2: plate 'A+': expected 1 to 16 characters"),
        (b"plate\n" + b"A" * 17 + b"\n,\n" + b"B" * 40 + b"\n" * 2, "line 2: .*; line 4: plate"),
        ("plate,phone\n京A12345,1\n".encode(), "no column 'phone' is known; expected plate,name,until"),
        ("京A12345,a,2027-01-31,x\n".encode(), ":1: 4 columns, expected 3"),
        ("plate\n京A12345\n".encode("utf-16"), "not a text in UTF-8; save it as 'CSV UTF-8'"),
        (b"plate\n\xff\xff\xff\n", "neither UTF-8 nor GB 18030"),
        (b"plate,name\nA1," + b"n" * 300 + b"\n", "line 2: name of 300 characters"),
        (b'plate\n"' + b"A" * 200_000, "not valid CSV"),
    ],
)
def test_what_is_wrong_is_named_by_its_line(tmp_path: Path, data: bytes, says: str) -> None:
    file = tmp_path / "known.csv"
    file.write_bytes(data)
    with pytest.raises(InputError, match=says) as caught:
        read_list(file)
    assert "\n" not in str(caught.value) and str(file) in str(caught.value)


def test_it_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "known.csv"
    file.write_text("京A12345\n" * 6, encoding="utf-8")
    monkeypatch.setattr(list_files, "MAX_ROWS", 5)
    with pytest.raises(InputError, match=":6: more than 5 plates"):
        read_list(file)
    monkeypatch.setattr(list_files, "_MAX_BYTES", 20)
    with pytest.raises(InputError, match="larger than 0 MiB: not a list of plates"):
        read_list(file)
