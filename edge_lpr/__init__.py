"""Licence-plate reading on the edge.

Example::

    from edge_lpr import PlateReader

    with PlateReader() as reader:
        for read in reader.read(image):  # image: uint8 H×W×3 BGR, as OpenCV gives it
            print(read.text, read.min_score)
        for event in reader.events("rtsp://camera/stream"):
            print(event.text, event.first_seen, event.last_seen)
"""

from __future__ import annotations

from edge_lpr.errors import EdgeLprError
from edge_lpr.plate import PlateRead, plate_kinds
from edge_lpr.reader import PlateReader
from edge_lpr.track import PlateEvent

__all__ = ["EdgeLprError", "PlateEvent", "PlateRead", "PlateReader", "__version__", "plate_kinds"]

__version__ = "0.1.0"
