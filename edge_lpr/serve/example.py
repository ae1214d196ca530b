"""The configuration that `edge-lpr serve --example` prints: it runs as it is with the sample video."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

from edge_lpr.installing import ROOT

__all__ = ["SAMPLE", "example"]

SAMPLE = ROOT / "samples" / "street.mp4"
"""The sample video, in a clone."""
_PLACE = "street.mp4"


def example(folder: Path | None = None) -> str:
    """Returns the configuration.

    Args:
        folder: Where it is to lie: the sample video is named as it is found from there; the working folder by
            default.
    """
    text = files("edge_lpr.serve").joinpath("example.toml").read_text(encoding="utf-8")
    if not SAMPLE.is_file():
        return text
    base = (folder or Path.cwd()).resolve()
    # "samples/street.mp4" in a clone, and else where it lies: what is far away has no short name.
    inside = SAMPLE.is_relative_to(base)
    sample = SAMPLE.relative_to(base).as_posix() if inside else os.fspath(SAMPLE).replace("\\", "/")
    return text.replace(_PLACE, sample)
