"""What commands print: names, labels and messages may come from others, and none of them drives the terminal.

Everything that a command prints goes through here or through `Progress`.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, TextIO

from edge_lpr.console.tables import Cell
from edge_lpr.console.text import paint, printable
from edge_lpr.io.atomic_io import json_text

__all__ = ["say", "say_json", "show"]


def say(*parts: Cell, stream: TextIO | None = None) -> None:
    """Prints a line; control characters, ends of lines among them, are masked.

    Args:
        parts: What stands side by side: texts, or texts and how they are painted.
        stream: Where to; None is stdout.
    """
    stream = stream or sys.stdout
    line = ""
    for part in parts:
        text, style = (part, None) if isinstance(part, str) else part
        line += paint(printable(text), style, stream) if style else printable(text)
    print(line, file=stream, flush=True)


def show(table: str) -> None:
    """Prints to stdout what `table` laid out, which masks its cells itself."""
    print(table, flush=True)


def say_json(value: Mapping[str, Any]) -> None:
    """Prints JSON to stdout, control characters as `json_text` escapes them."""
    print(json_text(value), end="", flush=True)
