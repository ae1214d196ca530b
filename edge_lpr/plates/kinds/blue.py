"""Small vehicles: white on blue (GA 36-2018)."""

from __future__ import annotations

from edge_lpr.plates.characters import OFFICES, PROVINCES, SERIAL
from edge_lpr.plates.kind import WHITE, Ground, PlateColour, PlateKind
from edge_lpr.plates.layout import ONE_ROW
from edge_lpr.plates.registry import register

register(
    PlateKind(
        name="blue",
        rank=10,
        colour="blue",
        formats={"standard": (PROVINCES, OFFICES, *[SERIAL] * 5)},
        layouts=(ONE_ROW,),
        ground=Ground((185.0, 85.0, 20.0)),
        ink=WHITE,
        share=0.47,
        # Bounds of hues, here and of yellow and green, read off the plates of CCPD and EasyPR.
        in_photos=PlateColour((185.0, 85.0, 20.0), WHITE, hues=(93, 130)),
    )
)
