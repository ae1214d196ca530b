"""A table that spreadsheets open."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from edge_lpr.console.text import is_terminal, printable
from edge_lpr.io.csv_text import BYTE_ORDER_MARK, csv_row, is_csv_row
from edge_lpr.io.text_file import LineFormat
from edge_lpr.outputs._text import TextOutput
from edge_lpr.outputs.base import ALONE, OUTPUTS, OutputKind, RunInfo
from edge_lpr.outputs.records import FIELDS, Result, to_record
from edge_lpr.pipeline.stream import FrameResult

__all__ = ["CsvOutput"]

_CORNER_COLUMNS = tuple(f"{axis}{i}" for i in range(1, 5) for axis in "xy")


class CsvOutput(TextOutput):
    """A table with the columns of `FIELDS`, written through row by row, that spreadsheets open as it is.

    No cell becomes a formula: see `edge_lpr.io.csv_text`.

    Args:
        file: The file, "-" for standard output, or an open text stream; a new one gets a header.
        run: The run; a live one is appended.

    Raises:
        OutputError: It cannot be written to.
    """

    def __init__(self, file: str | Path | TextIO, run: RunInfo = ALONE) -> None:
        super().__init__(file, run, _LINES)

    def write(self, frame_result: FrameResult, results: Sequence[Result]) -> None:
        """Writes a row for each result, all of them or none; see `Output.write`."""
        if frame_result.frame is not None or results:
            text = "".join(map(_cells, results))
            stream = self._out.stream
            # What is only shown may not drive the terminal; line ends are the rows' own.
            if stream is not None and is_terminal(stream):
                text = "".join(printable(line) + "\r\n" for line in text.splitlines())
            self._out.write(text)


def _cells(result: Result) -> str:
    cells: list[object] = []
    for name, value in to_record(result).items():
        if name == "corners":
            cells += [v for point in value for v in point]
        elif name == "char_scores":
            cells.append(" ".join("" if v is None else str(v) for v in value))
        elif name == "candidates":
            cells.append(" ".join(f"{one['text']}:{one['score']}" for one in value))
        else:
            cells.append(value)
    return csv_row(cells)


def _columns() -> list[str]:
    names = [name for name, _, _ in FIELDS]
    at = names.index("corners")
    return [*names[:at], *_CORNER_COLUMNS, *names[at + 1 :]]


_LINES = LineFormat(
    "a table with the columns of this version",
    is_first=lambda line: is_csv_row(line, _columns()),
    is_whole=lambda line: False,  # a cell that was torn looks like a shorter one
    head=BYTE_ORDER_MARK + csv_row(_columns()),
    end="\r\n",
)

OUTPUTS.register(
    OutputKind(
        name="csv",
        rank=30,
        open=CsvOutput,
        flag="--csv",
        help="a table; '-' is standard output. Cameras append to either file, files replace it",
        stdout=True,
    )
)
