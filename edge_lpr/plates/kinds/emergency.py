"""Vehicles of the fire and rescue service since 2019: black on white, 应急 in red at the end.

The letter is X for the fire service and S for the forest fire service.
"""

from __future__ import annotations

from edge_lpr.plates.characters import DIGITS, PROVINCES
from edge_lpr.plates.kind import BLACK, Ground, PlateKind
from edge_lpr.plates.layout import Dot, Layout, row
from edge_lpr.plates.registry import register

LAYOUT = Layout(
    size=(440, 140),
    cells=(
        *row((14.0, 66.0), 25.0, 43.0, 90.0),
        *row((138.0 + 51.0 * i for i in range(4)), 25.0, 43.0, 90.0),
        *row((340.0, 384.0), 40.0, 40.0, 60.0),
    ),
    dot=Dot((124.0, 70.0)),
)

register(
    PlateKind(
        name="emergency",
        rank=140,
        colour="white",
        formats={"emergency": (PROVINCES, "XS", *[DIGITS] * 4, "应", "急")},
        layouts=(LAYOUT,),
        ground=Ground((238.0, 240.0, 240.0)),
        ink=BLACK,
        accent="应急$",
        share=0.015,
    )
)
