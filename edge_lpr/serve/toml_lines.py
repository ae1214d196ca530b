"""On which line of a TOML file each key stands: the standard library reads TOML and does not say."""

from __future__ import annotations

import re
from collections import Counter

__all__ = ["MOST_PARTS", "Path", "key_lines", "long_key_line"]

Path = tuple[str | int, ...]
"""Where a value is: keys, and positions in lists."""

MOST_PARTS = 32
"""Names that a dotted key may have: the standard library's reader takes minutes for one of thousands."""
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_SCALAR = re.compile(r"[^,\]}#\n]*")
_STRINGS = (
    re.compile(r'"""(?:[^\\]|\\.)*?"{3,5}', re.DOTALL),
    re.compile(r"'''.*?'{3,5}", re.DOTALL),
    re.compile(r'"((?:[^"\\\n]|\\.)*)"'),
    re.compile(r"'([^'\n]*)'"),
)


# A key of too many names; or what no key begins in: a text, a comment, one name.
_LONG_KEY = re.compile(
    r"""((?:(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')[ \t]*\.[ \t]*){"""
    + f"{MOST_PARTS}}})"
    + r"""|"{3}(?:[^\\]|\\.)*?"{3,5}|'{3}.*?'{3,5}|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|\#[^\n]*|[A-Za-z0-9_-]+""",
    re.DOTALL,
)


def long_key_line(text: str) -> int:
    """Returns the line, from 1, of the first key that has more than `MOST_PARTS` names; 0 where none has.

    Args:
        text: The file's text, which no TOML reader has taken yet.
    """
    found = next((one for one in _LONG_KEY.finditer(text) if one[1] is not None), None)
    return 0 if found is None else text.count("\n", 0, found.start()) + 1


def key_lines(text: str) -> dict[Path, int]:
    """Finds the lines of a text that a TOML reader has taken.

    Args:
        text: The file's text.

    Returns:
        The line, from 1, of each table, key and item of a list, by where it is.
    """
    return _Scan(text).document()


class _Scan:
    """Goes over a text once; what it is, the TOML reader has seen to."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._counted = 0  # up to where lines were counted
        self._line = 1
        self._found: dict[Path, int] = {}

    def document(self) -> dict[Path, int]:
        table: Path = ()
        counts: Counter[Path] = Counter()
        while self._skip(_BLANK) and self._at < len(self._text):
            if self._text[self._at] == "[":
                is_list = self._text.startswith("[[", self._at)
                self._at += 1 + is_list
                self._skip(_SPACE)
                line = self._line_here()
                table = self._in_lists(self._key(), counts, is_list)
                self._note(table, line)
                self._at += 1 + is_list
            else:
                self._pair(table)
        return self._found

    def _in_lists(self, key: Path, counts: Counter[Path], is_list: bool) -> Path:
        """Returns a table's place: of what stands under a list of tables, in its last one."""
        place: Path = ()
        for n, part in enumerate(key):
            place = (*place, part)
            if is_list and n == len(key) - 1:
                counts[place] += 1
            if counts[place]:
                place = (*place, counts[place] - 1)
        return place

    def _pair(self, table: Path) -> None:
        line = self._line_here()
        place = (*table, *self._key())
        for n in range(len(table) + 1, len(place) + 1):
            self._note(place[:n], line)
        self._at += 1  # =
        self._skip(_SPACE)
        self._value(place)

    def _value(self, place: Path) -> None:
        first = self._text[self._at] if self._at < len(self._text) else ""
        if first == "[":
            self._at += 1
            n = 0
            while self._skip(_BLANK) and self._more("]"):
                self._note((*place, n), self._line_here())
                self._value((*place, n))
                n += 1
                self._comma()
        elif first == "{":
            self._at += 1
            while self._skip(_BLANK) and self._more("}"):
                self._pair(place)
                self._comma()
        elif first in ("'", '"'):
            self._string()
        else:
            self._skip(_SCALAR)

    def _more(self, end: str) -> bool:
        """Tells whether a list or table goes on; takes its end where it does not."""
        if self._at >= len(self._text):
            return False
        if self._text[self._at] == end:
            self._at += 1
            return False
        return True

    def _comma(self) -> None:
        self._skip(_BLANK)
        if self._text.startswith(",", self._at):
            self._at += 1

    def _key(self) -> Path:
        parts: list[str] = []
        while True:
            self._skip(_SPACE)
            if self._text[self._at] in ("'", '"'):
                parts.append(self._string())
            else:
                found = _BARE.match(self._text, self._at)
                assert found is not None, "TOML's reader has taken it"
                self._at = found.end()
                parts.append(found[0])
            self._skip(_SPACE)
            if not self._text.startswith(".", self._at):
                return tuple(parts)
            self._at += 1

    def _string(self) -> str:
        for pattern in _STRINGS:
            if found := pattern.match(self._text, self._at):
                self._at = found.end()
                return found[1] if pattern.groups else ""
        raise AssertionError("TOML's reader has taken it")

    def _skip(self, pattern: re.Pattern[str]) -> bool:
        found = pattern.match(self._text, self._at)
        assert found is not None
        self._at = found.end()
        return True

    def _line_here(self) -> int:
        self._line += self._text.count("\n", self._counted, self._at)
        self._counted = self._at
        return self._line

    def _note(self, place: Path, line: int) -> None:
        self._found.setdefault(place, line)
