"""Consulates' vehicles: white on black, with 领 at the end, often in red (GA 36-2018)."""

from __future__ import annotations

from edge_lpr.plates.characters import OFFICES, PROVINCES, SERIAL
from edge_lpr.plates.kind import WHITE, Ground, PlateKind
from edge_lpr.plates.layout import ONE_ROW
from edge_lpr.plates.registry import register

register(
    PlateKind(
        name="consulate",
        rank=90,
        colour="black",
        formats={"consulate": (PROVINCES, OFFICES, *[SERIAL] * 4, "领")},
        layouts=(ONE_ROW,),
        ground=Ground((30.0, 28.0, 26.0)),
        ink=WHITE,
        accent="领",
        share=0.02,
    )
)
