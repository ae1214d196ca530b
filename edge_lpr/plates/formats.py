"""Formats of plates, as the registered kinds have them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from edge_lpr.plates.characters import DIGITS
from edge_lpr.plates.colour import COLOURED, colour_shares, ground_colour
from edge_lpr.plates.kind import PlateKind
from edge_lpr.plates.read import UNKNOWN_KIND
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
        return len(text) == len(self.positions) and _fits(text, self.positions)

    def kind(self, crop: Image | None) -> str:
        """Names the kind of a plate of this format; where there are several, by the colour of its image.

        Args:
            crop: uint8 H×W×3 BGR image of the plate, or None.

        Returns:
            The kind; `UNKNOWN_KIND` where there are several and the image, a grey one, does not tell.
        """
        kinds = list(self.kinds)
        if len(kinds) == 1 or crop is None:
            return kinds[0]
        ground = ground_colour(crop)
        for kind, colour in self.kinds.items():
            if colour == ground:
                return kind
        shares = colour_shares(crop)
        best = max(kinds, key=lambda kind: shares.get(self.kinds[kind], 0.0))
        return best if shares.get(self.kinds[best], 0.0) >= COLOURED else UNKNOWN_KIND

    def is_cut(self, text: str, crop: Image, *, left: bool, right: bool) -> bool:
        """Tells whether a text of this format is rather the part of a longer plate that can be seen.

        Seven of the eight characters of a green plate are a valid plate, for one.

        Args:
            text: The text, which this format accepts.
            crop: uint8 H×W×3 BGR image of the plate.
            left: Whether the plate may go on to the left: it touches the image's border there.
            right: Likewise to the right.
        """
        longer = [plate for plate in plate_formats() if len(plate.positions) > len(text)]
        begun = [plate for plate in longer if _fits(text, plate.positions[: len(text)])]
        ended = [plate for plate in longer if _fits(text, plate.positions[-len(text) :])]
        if not (begun or ended):
            return False
        ground, own = ground_colour(crop), set(self.kinds.values())
        # In strange light the colour is only the nearest, which is too little at the border.
        if ground in own and not ((left or right) and colour_shares(crop)[ground] < COLOURED):
            return False
        return (
            any(ground in plate.kinds.values() and self._tells(plate) for plate in begun + ended)
            or (right and bool(begun))
            or (left and bool(ended))
        )

    def _tells(self, longer: PlateFormat) -> bool:
        """Whether a text of a longer format looks unlike most of this one: it has a letter at a fixed place.

        Five digits may follow the office on any plate, and at night a blue one can look green.
        """
        return any(
            not set(DIGITS) & set(theirs) and set(DIGITS) & set(own)
            for theirs, own in zip(longer.positions, self.positions, strict=False)
        )


def _fits(text: str, positions: Sequence[str]) -> bool:
    return all(c in allowed for c, allowed in zip(text, positions, strict=True))


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
