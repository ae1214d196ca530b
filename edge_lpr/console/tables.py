"""Text tables, laid out by rich: without boxes, so that what is piped is plain text in columns."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Collection, Sequence
from io import StringIO
from typing import TextIO

from edge_lpr.console.text import Style, columns, has_color, is_terminal, printable

Cell = str | tuple[str, Style]
"""A text, or a text and how it is painted."""

_GAP = 2  # blanks between columns
_LEAST = 16  # columns that wrapped text needs to be read
# A pipe has no width, and rich cuts what does not fit: wider than any table.
_UNLIMITED = 100_000


def table(
    rows: Sequence[Sequence[Cell]],
    *,
    left: Collection[int] = (0,),
    head: bool = True,
    wrap: bool = False,
    stream: TextIO | None = None,
) -> str:
    """Lays rows of cells out in columns.

    No cell is cut. A terminal that is too narrow gets the columns in several tables one below the other, all
    with the first column; what is piped is one table, however wide.

    Args:
        rows: The rows; a short one is filled with empty cells. Control characters are masked.
        left: Columns set to the left; the others are set to the right.
        head: Whether the first row names the columns: it is bold where colours are.
        wrap: Wrap the last column within a terminal's width instead.
        stream: Where the table goes, which decides on colours and width; None is stdout.

    Returns:
        The lines, without blanks at their ends.
    """
    stream = stream or sys.stdout
    cells = [[_styled(cell, bold=head and i == 0) for cell in row] for i, row in enumerate(rows)]
    count = max(map(len, cells), default=0)
    filled = [row + [("", "")] * (count - len(row)) for row in cells]
    widths = [max(columns(row[i][0]) for row in filled) for i in range(count)]
    limit = shutil.get_terminal_size().columns if is_terminal(stream) else _UNLIMITED
    if wrap:
        fits = sum(widths[:-1]) + _GAP * (count - 1) + _LEAST <= limit
        blocks, width = [list(range(count))], limit if fits else _UNLIMITED
    else:
        blocks, width = _blocks(widths, limit), _UNLIMITED
    drawn = []
    for block in blocks:
        part = [[row[i] for i in block] for row in filled]
        drawn.append(_draw(part, [i in left for i in block], width, has_color(stream)))
    return "\n\n".join(drawn)


def _styled(cell: Cell, bold: bool) -> tuple[str, str]:
    text, style = (cell, "bold" if bold else "") if isinstance(cell, str) else cell
    return printable(text), style


def _blocks(widths: Sequence[int], limit: int) -> list[list[int]]:
    """Which columns stand side by side in each of the tables, the first in all of them."""
    blocks = [[0]] if widths else []
    used = sum(widths[:1])
    for i, width in enumerate(widths[1:], 1):
        used += _GAP + width
        if used > limit and len(blocks[-1]) > 1:
            blocks.append([0])
            used = widths[0] + _GAP + width
        blocks[-1].append(i)
    return blocks


def _draw(rows: Sequence[Sequence[tuple[str, str]]], left: Sequence[bool], width: int, colors: bool) -> str:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, _GAP))
    for i, lefthand in enumerate(left):
        grid.add_column(justify="left" if lefthand else "right", no_wrap=i < len(left) - 1, overflow="fold")
    for row in rows:
        grid.add_row(*(Text.assemble(cell) for cell in row))
    drawn = StringIO()
    Console(
        file=drawn,
        width=width,
        force_terminal=colors,
        force_jupyter=False,
        color_system="standard" if colors else None,
    ).print(grid)
    return "\n".join(line.rstrip() for line in drawn.getvalue().splitlines())
