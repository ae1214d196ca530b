"""The configuration that `edge-lpr serve --example` prints: it runs as it is with the sample video."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from edge_lpr.installing import ROOT

__all__ = ["SAMPLE", "example", "find_sample"]

SAMPLE = Path("samples", "street.mp4")
"""The sample video, in a clone."""
_PLACE = "street.mp4"
# What the example says of the video, and what in its place where there is none.
_WITHOUT = (
    (
        "# Two cameras: for a trial, the sample video, over and over.",
        "# Two cameras: put the addresses of yours in, or a video file with loop = true.",
    ),
    (f'source = "{_PLACE}"', 'source = "rtsp://camera.example/1"'),
    ("\nloop = true", ""),
    ("\nsame_plate_within = 2  # the video begins again every 8 s; a camera has 30 by default", ""),
)


def find_sample(folder: Path | None = None) -> str:
    """Returns how a configuration names the sample video; "" where there is none.

    Args:
        folder: Where the configuration is to lie; the working folder by default.
    """
    base = (folder or Path.cwd()).resolve()
    if (base / SAMPLE).is_file():
        return SAMPLE.as_posix()
    # Of a clone that it was installed from, and that is elsewhere.
    own = ROOT / SAMPLE
    return own.as_posix() if own.is_file() else ""


def example(folder: Path | None = None) -> str:
    """Returns the configuration; with addresses of no camera where there is no sample video.

    Args:
        folder: Where it is to lie; see `find_sample`.
    """
    text = files("edge_lpr.serve").joinpath("example.toml").read_text(encoding="utf-8")
    if sample := find_sample(folder):
        return text.replace(_PLACE, sample)
    for there, instead in _WITHOUT:
        text = text.replace(there, instead)
    return text
