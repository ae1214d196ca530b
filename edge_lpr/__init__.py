"""Licence-plate reading on the edge.

Example::

    from edge_lpr import PlateReader

    with PlateReader() as reader:
        for read in reader.read(image):  # image: uint8 H×W×3 BGR, as OpenCV gives it
            print(read.text, read.min_score)
        for event in reader.events("rtsp://camera/stream"):
            print(event.id, event.state, event.text, event.first_utc)
"""

from __future__ import annotations

from edge_lpr._checkout import find_stages
from edge_lpr._version import __version__
from edge_lpr.errors import EdgeLprError
from edge_lpr.pipeline.events import PlateEvent
from edge_lpr.pipeline.reader import PlateReader
from edge_lpr.plates import PlateRead, plate_kinds

__all__ = ["EdgeLprError", "PlateEvent", "PlateRead", "PlateReader", "__version__", "plate_kinds"]

find_stages()
