"""A stream that says it is a terminal, and what is to be seen on it."""

from __future__ import annotations

import io
import re

_TOKEN = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|([\r\n])|([^\x1b\r\n]+)")


class Terminal(io.StringIO):
    """Knows what rich writes to draw a line over itself; at anything else it fails.

    Attributes:
        shown: The line of the cursor as it was at each flush.
    """

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[str] = []

    def isatty(self) -> bool:
        return True

    def flush(self) -> None:
        super().flush()
        lines, row = self._play()
        self.shown.append(lines[row])

    @property
    def screen(self) -> str:
        """All lines, as they are to be seen now."""
        return "\n".join(self._play()[0])

    def _play(self) -> tuple[list[str], int]:
        lines, row, column = [""], 0, 0
        text, place = self.getvalue(), 0
        while place < len(text):
            token = _TOKEN.match(text, place)
            assert token is not None, text[place:]
            place = token.end()
            argument, command, move, plain = token.groups()
            if plain:
                lines[row] = lines[row].ljust(column)[:column] + plain + lines[row][column + len(plain) :]
                column += len(plain)
            elif move:
                row, column = row + (move == "\n"), 0
                lines += [""] * (row + 1 - len(lines))
            elif command == "A":
                row -= int(argument)
            elif command == "K":
                assert argument == "2"
                lines[row] = ""
            else:
                assert command == "m" or (argument, command) in (("?25", "h"), ("?25", "l")), token[0]
        return lines, row
