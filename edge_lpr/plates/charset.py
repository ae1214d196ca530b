"""The characters of a recognition head that is cut to plates."""

from __future__ import annotations

from string import ascii_uppercase

from edge_lpr.plates.characters import DIGITS, DOT, PROVINCES
from edge_lpr.plates.formats import plate_formats


def _suffixes() -> str:
    known = PROVINCES + ascii_uppercase + DIGITS
    allowed = (c for plate in plate_formats() for position in plate.positions for c in position)
    return "".join(dict.fromkeys(c for c in allowed if c not in known))


SUFFIXES = _suffixes()
"""The characters that say what a plate is for (警, 学, …), by the rank of the kinds that have them."""

PLATE_CHARSET: tuple[str, ...] = tuple(PROVINCES + ascii_uppercase + DIGITS + SUFFIXES + DOT)
"""What `--charset plate` keeps, in this order, which heads that are trained depend on.

The dot is no part of a plate's text, but general weights read it with certainty; without a class of its own
its probability would pass for that of characters no plate has. A kind that other code registers later adds
nothing here: its formats are read where the head of a bundle has their characters.
"""
