"""Where things stand on a plate, in millimetres; the layouts that many kinds share (GA 36-2018)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

Cell = tuple[float, float, float, float]
"""Left, top, width and height of a character, in millimetres."""


@dataclass(frozen=True)
class Dot:
    """The mark between two characters.

    Attributes:
        centre: x and y, in millimetres.
        ring: Whether it is the mark of new-energy vehicles, an open ring with a tail, not a dot.
    """

    centre: tuple[float, float]
    ring: bool = False


@dataclass(frozen=True)
class Layout:
    """One arrangement of a plate.

    Attributes:
        size: Width and height of the plate, in millimetres.
        cells: One per character, in reading order.
        dot: The mark between the characters; None where there is none.
        rows: 1 or 2.
    """

    size: tuple[int, int]
    cells: tuple[Cell, ...]
    dot: Dot | None = None
    rows: int = 1


def row(lefts: Iterable[float], top: float, width: float, height: float) -> tuple[Cell, ...]:
    """Returns cells of one size in a row, given where each begins, all in millimetres."""
    return tuple((left, top, width, height) for left in lefts)


ONE_ROW = Layout(
    size=(440, 140),
    cells=row((15.5, 72.5, *(151.5 + 57.0 * i for i in range(5))), 25.0, 45.0, 90.0),
    dot=Dot((134.5, 70.0)),
)
"""Seven 45×90 mm characters 12 mm apart, 34 mm around the dot."""

TWO_ROWS = Layout(
    size=(440, 220),
    cells=(
        *row((110.0, 250.0), 15.0, 80.0, 60.0),
        *row((27.5 + 80.0 * i for i in range(5)), 90.0, 65.0, 110.0),
    ),
    dot=Dot((220.0, 45.0)),
    rows=2,
)
"""The high plate at the back of large vehicles: province and office above, the serial below."""
