"""Vehicles of the armed forces before 2013: a character in red, a letter and five digits, on white.

The character names the branch (军, 空, 海) or the military region.
"""

from __future__ import annotations

from edge_lpr.plates.characters import DIGITS, LETTERS
from edge_lpr.plates.kind import BLACK, Ground, PlateKind
from edge_lpr.plates.layout import ONE_ROW
from edge_lpr.plates.registry import register

BRANCHES = "军空海北沈兰济南广成"

register(
    PlateKind(
        name="military_old",
        rank=120,
        colour="white",
        formats={"military old": (BRANCHES, LETTERS, *[DIGITS] * 5)},
        layouts=(ONE_ROW,),
        ground=Ground((238.0, 240.0, 240.0)),
        ink=BLACK,
        accent=f"^[{BRANCHES}][A-Z]?",
        share=0.015,
    )
)
