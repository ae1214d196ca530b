"""Embassies' vehicles: white on black, six digits and 使, often red (GA 36-2018); first on older plates."""

from __future__ import annotations

from edge_lpr.plates.characters import DIGITS
from edge_lpr.plates.kind import WHITE, Ground, PlateKind, TextSource
from edge_lpr.plates.layout import Layout, row
from edge_lpr.plates.registry import register

LAYOUT = Layout(size=(440, 140), cells=row((15.5 + 60.6 * i for i in range(7)), 25.0, 45.0, 90.0))


def _sample(draw: TextSource) -> str:
    digits = draw.serial(6, letters=False)
    return digits + "使" if draw.chance(0.5) else "使" + digits


register(
    PlateKind(
        name="embassy",
        rank=100,
        colour="black",
        formats={"embassy": (*[DIGITS] * 6, "使"), "embassy old": ("使", *[DIGITS] * 6)},
        layouts=(LAYOUT,),
        ground=Ground((30.0, 28.0, 26.0)),
        ink=WHITE,
        accent="使",
        share=0.01,
        sample=_sample,
    )
)
