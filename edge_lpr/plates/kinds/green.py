"""New-energy vehicles: black on green that deepens downwards, large ones on yellow and green (GA 36-2018).

A letter says what drives it: third of eight characters on small vehicles, last on large ones. D and F are the
first that were given out, and still the commonest.
"""

from __future__ import annotations

from edge_lpr.plates.characters import DIGITS, LETTERS, OFFICES, PROVINCES, SERIAL
from edge_lpr.plates.kind import BLACK, Ground, PlateColour, PlateKind, TextSource
from edge_lpr.plates.layout import Dot, Layout, row
from edge_lpr.plates.registry import register
from edge_lpr.types import Rng

ENERGY = "ABCDEFGHJK"
"""A to E: electricity alone; F to K: other new energies."""
LAYOUT = Layout(
    size=(480, 140),
    cells=row((16.5, 68.5, *(160.5 + 52.0 * i for i in range(6))), 25.0, 43.0, 90.0),
    dot=Dot((136.0, 70.0), ring=True),
)


def _ground(text: str, rng: Rng) -> Ground:
    low = (95.0, 195.0, 85.0) if rng.random() < 0.8 else (70.0, 170.0, 30.0)
    # Some prints have no gradient.
    top = (225.0, 240.0, 225.0) if rng.random() < 0.8 else low
    if text[-1] in ENERGY:
        return Ground((110.0, 205.0, 115.0), left=(60.0, 200.0, 235.0))
    return Ground(top, low)


def _sample(draw: TextSource) -> str:
    energy = draw.pick("DF" if draw.chance(0.6) else ENERGY)
    if draw.chance(0.8):
        second = draw.pick(LETTERS) if draw.chance(0.2) else draw.pick(DIGITS)
        return draw.province + draw.office + energy + second + draw.serial(4, letters=False)
    return draw.province + draw.office + draw.serial(5, letters=False) + energy


def _matches(b: float, g: float, r: float) -> bool:
    return g > 1.08 * r and g > 1.04 * b


register(
    PlateKind(
        name="green",
        rank=30,
        colour="green",
        formats={
            "green small": (PROVINCES, OFFICES, ENERGY, SERIAL, *[DIGITS] * 4),
            "green large": (PROVINCES, OFFICES, *[DIGITS] * 5, ENERGY),
        },
        layouts=(LAYOUT,),
        ground=_ground,
        ink=BLACK,
        share=0.20,
        sample=_sample,
        in_photos=PlateColour((160.0, 218.0, 155.0), BLACK, hues=(37, 92), matches=_matches),
    )
)
