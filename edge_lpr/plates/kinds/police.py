"""Police vehicles: black on white, 警 in red (GA 36-2018)."""

from __future__ import annotations

from edge_lpr.plates.characters import OFFICES, PROVINCES, SERIAL
from edge_lpr.plates.kind import BLACK, Ground, PlateColour, PlateKind
from edge_lpr.plates.layout import ONE_ROW
from edge_lpr.plates.registry import register

register(
    PlateKind(
        name="police",
        rank=40,
        colour="white",
        formats={"police": (PROVINCES, OFFICES, *[SERIAL] * 4, "警")},
        layouts=(ONE_ROW,),
        ground=Ground((238.0, 240.0, 240.0)),
        ink=BLACK,
        accent="警",
        share=0.05,
        in_photos=PlateColour((238.0, 240.0, 240.0), BLACK),
    )
)
