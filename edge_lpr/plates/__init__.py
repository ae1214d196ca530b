"""What a plate is: kinds, formats, characters.

A kind of plate is one file in `kinds/`, which registers itself: what is read and rendered, and the characters
that a head is cut to, follow from it.
"""

from __future__ import annotations

from edge_lpr.plates.charset import PLATE_CHARSET
from edge_lpr.plates.formats import PlateFormat, plate_formats
from edge_lpr.plates.kind import PlateKind
from edge_lpr.plates.read import PlateRead
from edge_lpr.plates.registry import KINDS, plate_kinds, register

__all__ = [
    "KINDS",
    "PLATE_CHARSET",
    "PlateFormat",
    "PlateKind",
    "PlateRead",
    "plate_formats",
    "plate_kinds",
    "register",
]
