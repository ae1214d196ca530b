"""Tractors: white on green, in two rows (NY 345.1-2005).

Above stand the province and two digits of the district, below five digits.
"""

from __future__ import annotations

from edge_lpr.plates.characters import DIGITS, PROVINCES
from edge_lpr.plates.kind import WHITE, Ground, PlateKind
from edge_lpr.plates.layout import Layout, row
from edge_lpr.plates.registry import register

LAYOUT = Layout(
    size=(300, 165),
    cells=(
        *row((70.0, 125.0, 180.0), 12.0, 48.0, 48.0),
        *row((19.0 + 54.0 * i for i in range(5)), 70.0, 44.0, 80.0),
    ),
    rows=2,
)

register(
    PlateKind(
        name="tractor",
        rank=150,
        colour="green",
        formats={"tractor": (PROVINCES, DIGITS, DIGITS, *[DIGITS] * 5)},
        layouts=(LAYOUT,),
        ground=Ground((70.0, 125.0, 20.0)),
        ink=WHITE,
        share=0.02,
    )
)
