"""A table that spreadsheets open."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from edge_lpr.outputs._text import TextOut
from edge_lpr.outputs.base import ALONE, OUTPUTS, Output, OutputKind, RunInfo
from edge_lpr.outputs.records import FIELDS, Result, to_record
from edge_lpr.pipeline.stream import FrameResult

__all__ = ["CsvOutput"]

# As spreadsheets know them, in the widths that Chinese and Japanese keyboards type too.
_FORMULA = ("=", "+", "-", "@", "\N{FULLWIDTH EQUALS SIGN}", "\N{FULLWIDTH PLUS SIGN}")
_FORMULA += ("\N{FULLWIDTH HYPHEN-MINUS}", "\N{FULLWIDTH COMMERCIAL AT}", "\N{MINUS SIGN}")
_CORNER_COLUMNS = tuple(f"{axis}{i}" for i in range(1, 5) for axis in "xy")


class CsvOutput(Output):
    """A table with the columns of `FIELDS`, written through row by row, that spreadsheets open as it is.

    Names of files and addresses come from others, so no cell becomes a formula, as OWASP advises against CSV
    injection: what begins like one gets an apostrophe in front, and every cell stands in quotes, so that a
    spreadsheet that separates at semicolons or tabs begins no new one in the middle of it.

    Args:
        file: The file, "-" for standard output, or an open text stream; a new one gets a header.
        run: The run; a live one is appended.

    Raises:
        OutputError: It cannot be written to.
    """

    def __init__(self, file: str | Path | TextIO, run: RunInfo = ALONE) -> None:
        self._out = TextOut(file, run, bom=True)
        names = [name for name, _, _ in FIELDS]
        at = names.index("corners")
        if self._out.empty:
            self._row([*names[:at], *_CORNER_COLUMNS, *names[at + 1 :]])

    def write(self, frame_result: FrameResult, results: Sequence[Result]) -> None:
        """Writes a row for each result; see `Output.write`."""
        for result in results:
            cells: list[object] = []
            for name, value in to_record(result).items():
                if name == "corners":
                    cells += [v for point in value for v in point]
                elif name == "char_scores":
                    cells.append(" ".join("" if v is None else str(v) for v in value))
                elif isinstance(value, str) and value.lstrip().startswith(_FORMULA):
                    cells.append("'" + value)
                else:
                    cells.append(value)
            self._row(cells)

    def close(self) -> None:
        """Completes the file; may be called twice."""
        self._out.close()

    def discard(self) -> None:
        """Leaves the file as it was; see `Output.discard`."""
        self._out.discard()

    def _row(self, cells: Sequence[object]) -> None:
        line = io.StringIO()
        csv.writer(line, quoting=csv.QUOTE_ALL).writerow(cells)
        self._out.write(line.getvalue())


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
