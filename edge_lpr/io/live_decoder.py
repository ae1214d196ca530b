"""What decodes a camera, address or pipeline; opened in the process that `CameraProcess` starts."""

from __future__ import annotations

from edge_lpr.io.capture_decoder import CaptureDecoder
from edge_lpr.io.capture_options import CaptureOptions
from edge_lpr.io.decoder import Decoder
from edge_lpr.io.guarded_open import open_address, open_camera, open_pipeline
from edge_lpr.io.targets import Target

__all__ = ["live_decoder"]


def live_decoder(target: Target, options: CaptureOptions, live: bool | None) -> Decoder | None:
    """Opens a live source.

    Args:
        target: A "camera", "address" or "pipeline"; or a "video", by its address, which is played at its own
            pace.
        options: How it is read.
        live: Whether it is live; None finds out.

    Returns:
        What decodes it; None where it cannot be opened and nothing says why.

    Raises:
        SourceError: It cannot be opened, or its frames are larger than the options allow.
    """
    address = target.address
    if target.kind == "video":
        from edge_lpr.io.paced_video import PacedVideo

        return PacedVideo(address, target.label, options, target.loop)
    if target.kind == "address":
        if address.lower().startswith(("http://", "https://")):
            from edge_lpr.io.http_images import open_images

            images = open_images(address, target.label, options)
            if images != "other":
                return images
        if options.decode == "nvidia":
            from edge_lpr.io.nvidia_decode import decodes_nvidia, open_nvidia

            if decodes_nvidia(address):
                opened = open_nvidia(address, options.timeout, options.transport)
                return None if opened is None else CaptureDecoder(opened, target.label, live, options)
        capture = open_address(address, options.timeout, options.transport)
    elif target.kind == "camera":
        capture = open_camera(int(address) if address.isdecimal() else address)
    else:
        capture = open_pipeline(address)
    if not capture.isOpened():
        return None
    return CaptureDecoder(capture, target.label, live, options)
