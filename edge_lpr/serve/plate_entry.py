"""One plate of a list, wherever it is written."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from edge_lpr.errors import InputError, shown

__all__ = ["MAX_PLATE", "PlateEntry", "parse_day"]

MAX_PLATE = 16
"""Characters that a plate or pattern may have."""


@dataclass(frozen=True)
class PlateEntry:
    """One plate of a list.

    Attributes:
        plate: As it is written.
        name: Whose it is.
        until: The last day that it counts; None for ever.
    """

    plate: str
    name: str = ""
    until: date | None = None


def parse_day(text: str | None) -> date | None:
    """Reads a day, "2027-01-31"; None for nothing.

    Raises:
        InputError: It is written otherwise.
    """
    if not text:
        return None
    try:
        return date.fromisoformat(text.replace("/", "-"))
    except ValueError as e:
        raise InputError(f"until {shown(text)}: expected a day as 2027-01-31") from e
