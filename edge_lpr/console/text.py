"""Text for a terminal: how wide it is, in which colour, and that it does not drive the terminal.

rich is imported where it is used: `edge-lpr` piped into a file, and `import edge_lpr`, do without.
"""

from __future__ import annotations

import os
from typing import Literal, TextIO

from edge_lpr.io.plain_data import CONTROL

Style = Literal["bold", "dim", "red", "green", "yellow"]
"""What `paint` can do, by rich's names."""


def is_terminal(stream: TextIO) -> bool:
    """Tells whether a stream is a terminal that can redraw a line."""
    try:
        return stream.isatty() and os.environ.get("TERM") != "dumb"
    except ValueError:  # closed
        return False


def has_color(stream: TextIO) -> bool:
    """Tells whether a stream takes colours: a terminal does, unless NO_COLOR is set (no-color.org)."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR")


def paint(text: str, style: Style, stream: TextIO) -> str:
    """Colours a text, where the stream takes colours."""
    if not has_color(stream):
        return text
    from rich.color import ColorSystem
    from rich.style import Style as Painter

    return Painter.parse(style).render(text, color_system=ColorSystem.STANDARD)


def printable(text: str) -> str:
    """Replaces what would drive the terminal: names of files come from others. rich would leave ESC."""
    return CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def columns(text: str) -> int:
    """Counts the terminal columns of a text; Chinese characters take two."""
    if text.isascii() and text.isprintable():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


def clip(text: str, width: int, tail: bool = False) -> str:
    """Cuts a text to so many columns, with "…" at the cut; keeps its head, or its tail."""
    if columns(text) <= width:
        return text
    from rich.cells import set_cell_size

    # rich fills up with a blank where a character of two columns does not fit.
    room = max(0, width - 1)
    if tail:
        return "…" + set_cell_size(text[::-1], room).rstrip()[::-1]
    return set_cell_size(text, room).rstrip() + "…"


def pad(text: str, width: int) -> str:
    """Fills a text with blanks to so many columns, and cuts nothing off, as rich's `set_cell_size` would."""
    return text + " " * (width - columns(text))


def number(value: float) -> str:
    """Writes a rate: a decimal below a hundred, none from there on."""
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def duration(seconds: float) -> str:
    """Writes a duration: "8.5 s", "03:20", "2:03:20"; rich knows no tenths."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"
