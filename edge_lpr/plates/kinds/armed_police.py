"""Vehicles of the People's Armed Police: WJ in red, on white.

Since 2013 the province follows, small and red, four digits and a digit or the letter of a branch; before, two
small red digits for the region and five characters, the first of which may say what the vehicle is for
(消: fire service, 边: border guard, …).
"""

from __future__ import annotations

from edge_lpr.plates.characters import DIGITS, PROVINCES
from edge_lpr.plates.kind import BLACK, Ground, PlateKind, TextSource
from edge_lpr.plates.layout import Dot, Layout, row
from edge_lpr.plates.registry import register

BRANCHES = "TDSHBXJ"
SERVICES = "消边通森金警电"
LAYOUT = Layout(
    size=(440, 140),
    cells=(
        *row((14.0, 62.0), 25.0, 42.0, 90.0),
        *row((110.0,), 67.0, 38.0, 48.0),
        *row((168.0 + 52.5 * i for i in range(5)), 25.0, 42.0, 90.0),
    ),
    dot=Dot((158.0, 70.0)),
)
OLD_LAYOUT = Layout(
    size=(440, 140),
    cells=(
        *row((12.0, 56.0), 25.0, 40.0, 90.0),
        *row((100.0, 127.0), 67.0, 24.0, 48.0),
        *row((160.0 + 54.0 * i for i in range(5)), 25.0, 43.0, 90.0),
    ),
)
"""As a photograph of such a plate shows them."""


def _sample(draw: TextSource) -> str:
    digits = draw.serial(4, letters=False)
    if draw.chance(0.6):
        last = draw.pick(BRANCHES if draw.chance(0.4) else DIGITS)
        return f"WJ{draw.province}{digits}{last}"
    region = draw.pick("0123") + draw.pick(DIGITS)
    return f"WJ{region}{draw.pick(SERVICES if draw.chance(0.4) else DIGITS)}{digits}"


register(
    PlateKind(
        name="armed_police",
        rank=130,
        colour="white",
        formats={
            "armed police": ("W", "J", PROVINCES, *[DIGITS] * 4, BRANCHES + DIGITS),
            "armed police old": ("W", "J", "0123", DIGITS, SERVICES + DIGITS, *[DIGITS] * 4),
        },
        layouts=(LAYOUT, OLD_LAYOUT),
        ground=Ground((238.0, 240.0, 240.0)),
        ink=BLACK,
        accent=f"^WJ([{PROVINCES}]|..)",
        share=0.035,
        sample=_sample,
    )
)
