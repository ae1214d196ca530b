"""Vehicles from Hong Kong that may enter the mainland: white on black, 粤Z and 港 (GA 36-2018)."""

from __future__ import annotations

from edge_lpr.plates.characters import SERIAL
from edge_lpr.plates.kind import WHITE, Ground, PlateKind
from edge_lpr.plates.layout import ONE_ROW
from edge_lpr.plates.registry import register

register(
    PlateKind(
        name="hongkong",
        rank=70,
        colour="black",
        formats={"hong kong": ("粤", "Z", *[SERIAL] * 4, "港")},
        layouts=(ONE_ROW,),
        ground=Ground((30.0, 28.0, 26.0)),
        ink=WHITE,
        share=0.02,
    )
)
