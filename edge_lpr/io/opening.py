"""What is to be opened, as plain values: another process can be given them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import cv2

from edge_lpr.io.capture import CaptureOptions
from edge_lpr.io.capture_decoder import Capture, CaptureDecoder
from edge_lpr.io.decoder import Decoder
from edge_lpr.io.openers import open_address, open_camera, open_pipeline
from edge_lpr.io.video_decoder import VideoDecoder

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

    def open(self, options: CaptureOptions, live: bool | None) -> Decoder | None:
        """Opens it.

        Args:
            options: How it is read.
            live: Whether it is live; None finds out.

        Returns:
            What decodes it; None where it cannot be opened and nothing says why.

        Raises:
            SourceError: It cannot be opened, or its frames are larger than the options allow.
        """
        address = self.address
        capture: Capture | None
        if self.kind == "file":
            return VideoDecoder(address, self.label, options, bool(live))
        if self.kind == "address":
            if address.lower().startswith(("http://", "https://")):
                from edge_lpr.io.http_pictures import open_pictures

                pictures = open_pictures(address, self.label, options)
                if pictures != "other":
                    return pictures
            capture = self._open_address(options)
        elif self.kind == "camera":
            capture = open_camera(int(address) if address.isdecimal() else address)
        else:
            capture = open_pipeline(address)
        if capture is None or (isinstance(capture, cv2.VideoCapture) and not capture.isOpened()):
            return None
        return CaptureDecoder(capture, self.label, live, options)

    def _open_address(self, options: CaptureOptions) -> Capture | None:
        if options.decode == "nvidia":
            from edge_lpr.io.nvidia_decode import decodes_nvidia, open_nvidia

            if decodes_nvidia(self.address):
                return open_nvidia(self.address, options.timeout)
        return open_address(self.address, options.timeout)
