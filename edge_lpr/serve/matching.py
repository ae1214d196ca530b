"""Plates that may be the same though their texts differ: look-alikes, wildcards and doubtful characters."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "LOOKALIKES",
    "MAX_STARS",
    "PlateTable",
    "fold",
    "glob",
    "is_pattern",
    "pattern_regex",
    "same_plate",
    "single_stars",
]

LOOKALIKES: tuple[str, ...] = ("0ODQ", "1I", "2Z", "5S", "6G", "7T", "8B")
"""Characters that are taken for each other, in groups; the first stands for all.

O and 0, I and 1 share one glyph on plates (`edge_lpr.plates.characters.HOMOGLYPHS`). The others are the
digits and letters that are read for each other most often where plates are small, by
`python -m edge_lpr.benchmarks.lookalikes` (benchmarks/results/lookalikes.json). Two digits or two letters
never are one, as often as they are mistaken (0 and 8, 6 and 8, H and M): plates of neighbours differ in
those. The database holds texts as they are folded by this table: who changes it raises
`edge_lpr.serve.database.VERSION`.
"""
MAX_STARS = 4
""""*" that a pattern may have: each lets the matching begin anew."""
_FOLDED = {ord(c): group[0] for group in LOOKALIKES for c in group}
_CODES = 255  # characters of a table that are told apart; all others are one, which is compared as text
_OTHER = 0


def fold(text: str) -> str:
    """Returns a text in which look-alikes are one character: equal for plates that look alike."""
    return text.translate(_FOLDED)


def same_plate(first: str, second: str) -> bool:
    """Tells whether two texts may be one plate: they differ in look-alikes alone."""
    return fold(first) == fold(second)


def is_pattern(text: str) -> bool:
    """Tells whether a text has wildcards: "?" is one character, "*" any number."""
    return "?" in text or "*" in text


def single_stars(pattern: str) -> str:
    """Returns a pattern without a "*" behind another one, which says no more."""
    return re.sub(r"\*+", "*", pattern)


def glob(pattern: str) -> str:
    """Writes a pattern for SQLite's GLOB, which knows sets of characters too: those are none here."""
    return single_stars(pattern).replace("[", "[[]")


def pattern_regex(pattern: str) -> str:
    """Writes a pattern as a regular expression, for `re.fullmatch`."""
    parts = {"?": ".", "*": ".*"}
    return "".join(parts.get(c) or re.escape(c) for c in single_stars(pattern))


class PlateTable:
    """Many plates, among which those are found that differ in few, doubtful characters.

    A column of bytes for each position: comparing one character with 100,000 plates takes a hundredth of a
    millisecond, and memory of a byte a character.

    Args:
        texts: The plates.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = list(texts)
        characters = sorted({c for text in texts for c in text})[: _CODES - 1]
        self._codes = {c: code for code, c in enumerate(characters, _OTHER + 1)}
        by_length: dict[int, list[int]] = {}
        for i, text in enumerate(texts):
            by_length.setdefault(len(text), []).append(i)
        self._tables = {
            length: (np.array(members), self._columns([texts[i] for i in members], length))
            for length, members in by_length.items()
        }

    def near(self, text: str, doubtful: Sequence[bool], limit: int) -> Iterator[int]:
        """Finds plates that differ from a text in doubtful characters alone, and in at most so many.

        Args:
            text: What was read.
            doubtful: Of each of its characters, whether it may be another.
            limit: How many may.

        Yields:
            Their indices, those that differ in fewest first.
        """
        if len(text) not in self._tables:
            return
        members, columns = self._tables[len(text)]
        differing = np.zeros(len(members), np.uint8)
        for c, column, doubt in zip(text, columns, doubtful, strict=True):
            # A sure character that is another counts for more than may be.
            differing += (column != self._codes.get(c, _OTHER)) * np.uint8(1 if doubt else limit + 1)
        found = np.flatnonzero(differing <= limit)
        for at in found[np.argsort(differing[found], kind="stable")]:
            index = int(members[at])
            pairs = zip(text, self._texts[index], doubtful, strict=True)
            wrong = [doubt for mine, theirs, doubt in pairs if mine != theirs]
            if len(wrong) <= limit and all(wrong):
                yield index

    def _columns(self, texts: Sequence[str], length: int) -> NDArray[np.uint8]:
        """Returns uint8 L×N, the code of each character of N texts of one length."""
        columns = np.zeros((length, len(texts)), np.uint8)
        for i, text in enumerate(texts):
            columns[:, i] = [self._codes.get(c, _OTHER) for c in text]
        return columns
