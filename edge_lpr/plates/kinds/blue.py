"""Small vehicles: white on blue (GA 36-2018)."""

from __future__ import annotations

from edge_lpr.plates.characters import OFFICES, PROVINCES, SERIAL
from edge_lpr.plates.kind import WHITE, Ground, PlateKind
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
    )
)
