"""What one kind of plate is: how it is read, and what it looks like when it is rendered."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from edge_lpr.counting import counted
from edge_lpr.errors import SettingError
from edge_lpr.plates.layout import Layout
from edge_lpr.types import FloatColor, Rng

WHITE: FloatColor = (240.0, 240.0, 238.0)
BLACK: FloatColor = (25.0, 22.0, 22.0)
RED: FloatColor = (40.0, 35.0, 205.0)
"""Inks, as photographs show them: blue, green, red, 0 to 255."""


class TextSource(Protocol):
    """What a kind draws its texts from.

    Attributes:
        province: The drawn province.
        office: The drawn letter of the issuing office.
    """

    province: str
    office: str

    def pick(self, characters: str) -> str:
        """Draws one of some characters, all alike."""
        ...

    def serial(self, count: int, *, letters: bool = True) -> str:
        """Draws letters and digits, or digits alone; those that are hard to tell apart more often."""
        ...

    def chance(self, probability: float) -> bool:
        """Draws whether something of a probability, 0 to 1, happens."""
        ...


@dataclass(frozen=True)
class Ground:
    """The colours of a plate's ground: blue, green, red, 0 to 255.

    Attributes:
        top: At the upper edge.
        bottom: At the lower edge, where it differs.
        left: Of the part before the dot, where it differs.
    """

    top: FloatColor
    bottom: FloatColor | None = None
    left: FloatColor | None = None


@dataclass(frozen=True)
class PlateColour:
    """How plates of one colour show in photographs.

    Attributes:
        ground: Mean colour of the ground as it is rendered: blue, green, red, 0 to 255.
        ink: That of the characters.
        hues: Least and largest hue of the ground, 0 to 179 as in OpenCV; None where it has none.
        matches: Tells from a ground that was measured (blue, green, red, 1 to 256) whether it is this one.
            Asked by the rank of the kinds; None takes what is left. Colours whose ink is paler than the
            ground and those whose ink is darker are never taken for each other.
    """

    ground: FloatColor
    ink: FloatColor
    hues: tuple[int, int] | None = None
    matches: Callable[[float, float, float], bool] | None = None

    @property
    def pale_ink(self) -> bool:
        """Whether the characters are brighter than the ground."""
        return sum(self.ink) > sum(self.ground)


@dataclass(frozen=True, eq=False)
class PlateKind:
    """One kind of plate.

    Attributes:
        name: What `PlateRead.kind` says.
        rank: Order of the kinds; where two formats fit a reading equally well, the lower rank's is taken.
        colour: What the ground is called; tells kinds that share a format apart.
        formats: Name to positions, each the characters that may stand there. Kinds may share a format: it has
            the same name and positions in each.
        layouts: How it is arranged; the first that has the rows and the number of characters is taken.
        ground: The colours of its ground as they are rendered; a function of the text and a source of
            randomness where they depend on them.
        ink: Colour of its characters as rendered: blue, green, red, 0 to 255.
        share: Weight among rendered plates; 0 where it is rendered on request alone.
        accent: Regular expression of the part of a text that is painted in `accent_ink` on most plates.
        accent_ink: Colour of that part.
        sample: Draws a text, where a format and its positions alone do not say how often what occurs.
        in_photos: How its colour shows in photographs: what tells it from others in an image, and from what
            to what compositing maps it. One kind of a colour is enough to give it; None where nobody does.
    """

    name: str
    rank: int
    colour: str
    formats: Mapping[str, tuple[str, ...]]
    layouts: tuple[Layout, ...]
    ground: Ground | Callable[[str, Rng], Ground]
    ink: FloatColor
    share: float
    accent: str | None = None
    accent_ink: FloatColor = RED
    sample: Callable[[TextSource], str] | None = None
    in_photos: PlateColour | None = None

    def __post_init__(self) -> None:
        if not self.formats or self.share < 0:
            raise SettingError(
                f"plate kind {self.name!r}: {counted(len(self.formats), 'formats')} and a share of "
                f"{self.share}, expected a format at least and a share of 0 or more"
            )
        for name, positions in self.formats.items():
            if not any(len(layout.cells) == len(positions) for layout in self.layouts):
                raise SettingError(
                    f"plate kind {self.name!r}: format {name!r} has {len(positions)} positions, but no "
                    "layout has as many cells"
                )

    @property
    def has_two_rows(self) -> bool:
        """Whether some of its plates are in two rows."""
        return any(layout.rows == 2 for layout in self.layouts)

    def rows(self, text: str) -> tuple[int, ...]:
        """Returns in how many rows a text may stand, the usual first: 1, 2 or both."""
        return tuple(layout.rows for layout in self.layouts if len(layout.cells) == len(text))

    def layout(self, text: str, rows: int = 1) -> Layout:
        """Returns how a text is arranged in 1 or 2 rows.

        Raises:
            SettingError: The kind has no layout of so many rows and characters.
        """
        for layout in self.layouts:
            if layout.rows == rows and len(layout.cells) == len(text):
                return layout
        known = ", ".join(f"{len(layout.cells)} in {layout.rows}" for layout in self.layouts)
        raise SettingError(
            f"{text!r}: {counted(len(text), 'characters')} in {counted(rows, 'rows')}, but plates of the "
            f"kind {self.name!r} have {known}"
        )

    def paint(self, text: str, rng: Rng) -> Ground:
        """Returns the colours of the ground of a plate with this text."""
        return self.ground(text, rng) if callable(self.ground) else self.ground

    def accents(self, text: str) -> frozenset[int]:
        """Returns which characters of a text, from 0, are painted in `accent_ink` on most plates."""
        if self.accent is None:
            return frozenset()
        return frozenset(i for found in re.finditer(self.accent, text) for i in range(*found.span()))
