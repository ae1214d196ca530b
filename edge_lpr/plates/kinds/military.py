"""Vehicles of the armed forces since 2013: two letters, often red, and five digits, on white.

The first letter names the command or the branch (V, Q, K, H, E and those of the former military regions), the
second the department. The standard is not published; letters are those seen on plates in photographs and in
the checks that insurers and registries publish.
"""

from __future__ import annotations

from edge_lpr.plates.characters import DIGITS, LETTERS
from edge_lpr.plates.kind import BLACK, Ground, PlateKind, TextSource
from edge_lpr.plates.layout import ONE_ROW
from edge_lpr.plates.registry import register

COMMANDS = "VKHBSLJNGCEQZ"


def _sample(draw: TextSource) -> str:
    return draw.pick(COMMANDS) + draw.pick(LETTERS) + draw.serial(5, letters=False)


register(
    PlateKind(
        name="military",
        rank=110,
        colour="white",
        formats={"military": (COMMANDS, LETTERS, *[DIGITS] * 5)},
        layouts=(ONE_ROW,),
        ground=Ground((238.0, 240.0, 240.0)),
        ink=BLACK,
        accent="^[A-Z]{1,2}",
        share=0.035,
        sample=_sample,
    )
)
