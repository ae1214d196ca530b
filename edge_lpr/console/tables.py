"""Text tables, laid out by rich: without boxes, so that what is piped is plain text in columns."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Collection, Sequence
from io import StringIO
from typing import TextIO

from edge_lpr.console.text import Style, has_color, is_terminal, printable

Cell = str | tuple[str, Style]
"""A text, or a text and how it is painted."""

# A pipe has no width, and a figure that is cut or wrapped is wrong: wider than any table.
_UNLIMITED = 100_000


def table(
    rows: Sequence[Sequence[Cell]],
    *,
    left: Collection[int] = (0,),
    head: bool = True,
    wrap: bool = False,
    stream: TextIO | None = None,
) -> str:
    """Lays rows of cells out in columns, two blanks between them.

    Args:
        rows: The rows; a short one is filled with empty cells. Control characters are masked.
        left: Columns set to the left; the others are set to the right.
        head: Whether the first row names the columns: it is bold where colours are.
        wrap: On a terminal, wrap the last column within the terminal's width; what is piped is never wrapped.
        stream: Where the table goes, which decides on colours and width; None is stdout.

    Returns:
        The lines, without blanks at their ends.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    stream = stream or sys.stdout
    wraps = wrap and is_terminal(stream)
    last = max(map(len, rows), default=0) - 1
    grid = Table.grid(padding=(0, 2))
    for i in range(last + 1):
        grid.add_column(
            justify="left" if i in left else "right", no_wrap=not (wraps and i == last), overflow="fold"
        )
    for number, row in enumerate(rows):
        cells = [(cell, "") if isinstance(cell, str) else cell for cell in row]
        bold = "bold" if head and number == 0 else ""
        grid.add_row(*(Text.assemble((printable(text), style or bold)) for text, style in cells))
    drawn = StringIO()
    Console(
        file=drawn,
        width=shutil.get_terminal_size().columns if wraps else _UNLIMITED,
        force_terminal=has_color(stream),
        force_jupyter=False,
        color_system="standard" if has_color(stream) else None,
    ).print(grid)
    return "\n".join(line.rstrip() for line in drawn.getvalue().splitlines())
