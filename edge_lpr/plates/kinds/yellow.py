"""Large vehicles: black on yellow, at the back in two rows (GA 36-2018)."""

from __future__ import annotations

from edge_lpr.plates.characters import OFFICES, PROVINCES, SERIAL
from edge_lpr.plates.kind import BLACK, Ground, PlateColour, PlateKind
from edge_lpr.plates.layout import ONE_ROW, TWO_ROWS
from edge_lpr.plates.registry import register


def _matches(b: float, g: float, r: float) -> bool:
    # Green that has faded into yellow is still green.
    return b < 0.72 * r and not (g > 1.08 * r and g > 1.04 * b)


register(
    PlateKind(
        name="yellow",
        rank=20,
        colour="yellow",
        formats={"standard": (PROVINCES, OFFICES, *[SERIAL] * 5)},
        layouts=(ONE_ROW, TWO_ROWS),
        ground=Ground((35.0, 180.0, 240.0)),
        ink=BLACK,
        share=0.12,
        in_photos=PlateColour((35.0, 180.0, 240.0), BLACK, hues=(14, 36), matches=_matches),
    )
)
