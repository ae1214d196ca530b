"""The plates of a list that stand in a file of their own: CSV with plate,name,until."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from edge_lpr.counting import counted
from edge_lpr.datasets.label_text import clean_text
from edge_lpr.errors import InputError, shown
from edge_lpr.io.bounded_io import read_bounded
from edge_lpr.serve.plate_entry import MAX_PLATE, PlateEntry, parse_day

__all__ = ["MAX_ROWS", "read_list"]

_MAX_BYTES = 32 << 20
MAX_ROWS = 100_000
"""Plates that a file may have."""
_COLUMNS = ("plate", "name", "until")
_MAX_NAME = 200
_SHOWN = 3  # lines that a message names


def read_list(file: Path) -> list[PlateEntry]:
    """Reads the plates of a list.

    Commas, semicolons or tabs between columns; UTF-8 with or without its mark, or GB 18030, as spreadsheets
    save CSV in China. The first row may name the columns; without that they are plate, name, until.

    Args:
        file: The file.

    Raises:
        InputError: It cannot be read, or a line of it is wrong: which, and why. A list that is read in part
            would open a gate, or leave it closed, without anybody knowing.
    """
    text = _decoded(read_bounded(file, _MAX_BYTES, "a list of plates", InputError), file)
    entries: list[PlateEntry] = []
    wrong: list[str] = []
    for number, row in _rows(text, file):
        if len(entries) >= MAX_ROWS:
            raise InputError(f"{file}:{number}: more than {MAX_ROWS:,} plates; split the file into lists")
        try:
            entries.append(_entry(row))
        except InputError as e:
            wrong.append(f"line {number}: {e}")
    if wrong:
        more = f"; and {counted(len(wrong) - _SHOWN, 'lines')} more" if len(wrong) > _SHOWN else ""
        raise InputError(f"{file}: {'; '.join(wrong[:_SHOWN])}{more}")
    return entries


def _decoded(data: bytes, file: Path) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in data:
        raise InputError(f"{file}: not a text in UTF-8; save it as 'CSV UTF-8'")
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise InputError(f"{file}: neither UTF-8 nor GB 18030; save it as 'CSV UTF-8'")


def _rows(text: str, file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Gives the number and the columns by name of each row that is not empty."""
    head = text.split("\n", 1)[0]
    separator = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    names: tuple[str, ...] | None = None
    try:
        for row in reader:
            cells = list(map(str.strip, row))
            if not any(cells):
                continue
            if names is None:
                first = tuple(cell.lower() for cell in cells)
                names = first if "plate" in first else _COLUMNS
                if unknown := [name for name in names if name and name not in _COLUMNS]:
                    raise InputError(
                        f"{file}: no column {shown(unknown[0])} is known; expected {','.join(_COLUMNS)}"
                    )
                if names is first:
                    continue
            if len(cells) > len(names) and any(cells[len(names) :]):
                raise InputError(
                    f"{file}:{reader.line_num}: {counted(len(cells), 'columns')}, expected {len(names)} "
                    f"({','.join(names)})"
                )
            yield reader.line_num, dict(zip(names, cells, strict=False))
    except csv.Error as e:
        raise InputError(f"{file}:{reader.line_num}: not valid CSV ({e})") from e


def _entry(row: dict[str, str]) -> PlateEntry:
    written = row.get("plate", "")
    if not written:
        raise InputError("no plate in it")
    if not 1 <= len(clean_text(written)) <= MAX_PLATE:
        raise InputError(f"plate {shown(written, 40)}: expected 1 to {MAX_PLATE} characters")
    name = row.get("name", "")
    if len(name) > _MAX_NAME:
        raise InputError(f"name of {len(name)} characters: expected {_MAX_NAME} at most")
    return PlateEntry(written, name, parse_day(row.get("until", "")))
