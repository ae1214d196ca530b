"""Licence-plate reading on the edge.

Example::

    from edge_lpr import PlateReader

    with PlateReader() as reader:
        for read in reader.read("street.jpg"):  # or an array as OpenCV gives it, or a Pillow image
            print(read.text, read.min_score)
        for event in reader.events("rtsp://camera/stream"):
            print(event.id, event.state, event.text, event.first_utc)
"""

from __future__ import annotations

from edge_lpr._checkout import find_stages
from edge_lpr._version import __version__

TYPE_CHECKING = False  # as type checkers know it; `typing` is slow to import, and the command starts here
if TYPE_CHECKING:
    from edge_lpr.errors import EdgeLprError
    from edge_lpr.pipeline.async_reader import AsyncPlateReader
    from edge_lpr.pipeline.events import PlateEvent
    from edge_lpr.pipeline.reader import PlateReader
    from edge_lpr.plates import PlateRead, plate_kinds
    from edge_lpr.plates.read import Candidate

__all__ = [
    "AsyncPlateReader",
    "Candidate",
    "EdgeLprError",
    "PlateEvent",
    "PlateRead",
    "PlateReader",
    "__version__",
    "plate_kinds",
]

# Imported when they are asked for (PEP 562): the command heeds Ctrl-C before NumPy and OpenCV are loaded.
_HOMES = {
    "AsyncPlateReader": "edge_lpr.pipeline.async_reader",
    "Candidate": "edge_lpr.plates.read",
    "EdgeLprError": "edge_lpr.errors",
    "PlateEvent": "edge_lpr.pipeline.events",
    "PlateRead": "edge_lpr.plates",
    "PlateReader": "edge_lpr.pipeline.reader",
    "plate_kinds": "edge_lpr.plates",
}

find_stages()


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = globals()[name] = getattr(import_module(_HOMES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
