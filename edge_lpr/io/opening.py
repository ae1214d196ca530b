"""What is to be opened, as plain values: another process can be given them."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import cv2

from edge_lpr.io.capture import CaptureOptions
from edge_lpr.io.checked_capture import CheckedCapture
from edge_lpr.io.openers import open_address, open_camera, open_file, open_packets, open_pipeline

__all__ = ["Opening"]


@dataclass(frozen=True)
class Opening:
    """What is to be opened, and how.

    Attributes:
        kind: "file", "address", "camera" or "pipeline".
        label: What messages call it.
        address: The absolute path, address, index or device file, or GStreamer pipeline; may hold a password.
    """

    kind: Literal["file", "address", "camera", "pipeline"]
    label: str
    address: str = field(repr=False)

    def open(self, options: CaptureOptions) -> CheckedCapture:
        """Opens it; what comes back may not be open.

        Raises:
            SourceError: Its frames are larger than the options allow.
        """
        packets = partial(open_packets, self.address) if self.kind == "file" else None
        return CheckedCapture(self._open(options), self.label, options.max_pixels, packets)

    def _open(self, options: CaptureOptions) -> cv2.VideoCapture:
        address = self.address
        if self.kind == "address":
            return open_address(address, options.timeout)
        if self.kind == "camera":
            return open_camera(int(address) if address.isdecimal() else address)
        return open_pipeline(address) if self.kind == "pipeline" else open_file(address)
