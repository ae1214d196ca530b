"""A table that spreadsheets open."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from edge_lpr.console.text import is_terminal, printable
from edge_lpr.outputs._text import TextOut
from edge_lpr.outputs.base import ALONE, OUTPUTS, Output, OutputKind, RunInfo
from edge_lpr.outputs.records import FIELDS, Result, to_record
from edge_lpr.pipeline.stream import FrameResult

__all__ = ["CsvOutput"]

# What a formula begins with, in the widths that Chinese and Japanese keyboards type too; where a cell begins,
# be it at a separator that the table does not have.
_FORMULA = re.compile(r"(^|[;,|\t\r\n])(?=[\"\s]*[=+\-@＝＋－＠−])|^(?=[\t\r\n])")
_CORNER_COLUMNS = tuple(f"{axis}{i}" for i in range(1, 5) for axis in "xy")


class CsvOutput(Output):
    """A table with the columns of `FIELDS`, written through row by row, that spreadsheets open as it is.

    Names of files and addresses come from others, so no cell becomes a formula, as OWASP advises against CSV
    injection: where one would begin stands an apostrophe, be it at a semicolon or tab at which a spreadsheet
    separates that was told to; and every cell stands in quotes.

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
                elif isinstance(value, str):
                    cells.append(_FORMULA.sub(r"\1'", value))
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
        csv.writer(line, quoting=csv.QUOTE_ALL, lineterminator="").writerow(cells)
        text, stream = line.getvalue(), self._out.stream
        if stream is not None and is_terminal(stream):
            text = printable(text)
        self._out.write(text + "\r\n")


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
