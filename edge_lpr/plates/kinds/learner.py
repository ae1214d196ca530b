"""Driving schools' vehicles: black on yellow, with 学 at the end (GA 36-2018)."""

from __future__ import annotations

from edge_lpr.plates.characters import OFFICES, PROVINCES, SERIAL
from edge_lpr.plates.kind import BLACK, Ground, PlateKind
from edge_lpr.plates.layout import ONE_ROW
from edge_lpr.plates.registry import register

register(
    PlateKind(
        name="learner",
        rank=50,
        colour="yellow",
        formats={"learner": (PROVINCES, OFFICES, *[SERIAL] * 4, "学")},
        layouts=(ONE_ROW,),
        ground=Ground((35.0, 180.0, 240.0)),
        ink=BLACK,
        share=0.06,
    )
)
