"""Rows of a table that spreadsheets open as they are, whatever stands in them.

Names of files, addresses and plates come from others, so no cell becomes a formula, as OWASP advises against
CSV injection: where one would begin stands an apostrophe, be it at a semicolon or tab at which a spreadsheet
separates that was told to; and every cell stands in quotes.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable

__all__ = ["BYTE_ORDER_MARK", "csv_row", "is_csv_row"]

BYTE_ORDER_MARK = "\ufeff"
"""What Excel takes UTF-8 by: the first character of a file."""
# What a formula begins with, in the widths that Chinese and Japanese keyboards type too; where a cell begins,
# be it at a separator that the table does not have.
_FORMULA = re.compile(r"(^|[;,|\t\r\n])(?=[\"\s]*[=+\-@＝＋－＠−])|^(?=[\t\r\n])")


def csv_row(cells: Iterable[object]) -> str:
    """Returns a row with its end; texts are written so that none is a formula, numbers as they are."""
    line = io.StringIO()
    safe = [_FORMULA.sub(r"\1'", cell) if isinstance(cell, str) else cell for cell in cells]
    csv.writer(line, quoting=csv.QUOTE_ALL).writerow(safe)
    return line.getvalue()


def is_csv_row(line: str, cells: Iterable[str]) -> bool:
    """Tells whether a line is a row of these cells, as a table's first line is one of its columns."""
    try:
        return next(csv.reader([line.removeprefix(BYTE_ORDER_MARK)]), []) == list(cells)
    except csv.Error:
        return False
