"""Formats of plates, as the registered kinds have them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from edge_lpr.plates.colour import colour_shares
from edge_lpr.plates.kind import PlateKind
from edge_lpr.plates.registry import KINDS
from edge_lpr.types import Image


@dataclass(frozen=True)
class PlateFormat:
    """One format of plates.

    Attributes:
        name: Its name.
        kinds: The kinds of plate that it serves, by rank, and the colour of each.
        positions: For each position, the characters that may stand there.
    """

    name: str
    kinds: dict[str, str]
    positions: tuple[str, ...]

    def accepts(self, text: str) -> bool:
        """Tells whether a text is a plate of this format."""
        return len(text) == len(self.positions) and all(
            c in allowed for c, allowed in zip(text, self.positions, strict=True)
        )

    def kind(self, crop: Image | None) -> str:
        """Names the kind of a plate of this format; where there are several, by the colour of its image.

        Args:
            crop: uint8 H×W×3 BGR image of the plate, or None.
        """
        kinds = list(self.kinds)
        if len(kinds) == 1 or crop is None:
            return kinds[0]
        shares = colour_shares(crop)
        return max(kinds, key=lambda kind: shares.get(self.kinds[kind], 0.0))


def plate_formats() -> tuple[PlateFormat, ...]:
    """Returns the formats of all registered kinds, by the rank of the first kind that has each."""
    return _formats(tuple(KINDS))


@lru_cache(maxsize=8)
def _formats(kinds: tuple[PlateKind, ...]) -> tuple[PlateFormat, ...]:
    positions = {name: places for kind in kinds for name, places in kind.formats.items()}
    return tuple(
        PlateFormat(name, {kind.name: kind.colour for kind in kinds if name in kind.formats}, places)
        for name, places in positions.items()
    )
