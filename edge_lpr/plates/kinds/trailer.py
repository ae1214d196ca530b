"""Trailers: black on yellow, in two rows, with 挂 at the end (GA 36-2018)."""

from __future__ import annotations

from edge_lpr.plates.characters import OFFICES, PROVINCES, SERIAL
from edge_lpr.plates.kind import BLACK, Ground, PlateKind
from edge_lpr.plates.layout import ONE_ROW, TWO_ROWS
from edge_lpr.plates.registry import register

register(
    PlateKind(
        name="trailer",
        rank=60,
        colour="yellow",
        formats={"trailer": (PROVINCES, OFFICES, *[SERIAL] * 4, "挂")},
        layouts=(ONE_ROW, TWO_ROWS),
        ground=Ground((35.0, 180.0, 240.0)),
        ink=BLACK,
        share=0.03,
    )
)
