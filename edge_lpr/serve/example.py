"""The configuration that `edge-lpr serve --example` prints: it runs as it is with the sample video."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from edge_lpr.installing import ROOT

__all__ = ["SAMPLE", "example"]

SAMPLE = Path("samples", "street.mp4")
"""The sample video, in a clone."""
_PLACE = "street.mp4"


def example(folder: Path | None = None) -> str:
    """Returns the configuration.

    Args:
        folder: Where it is to lie: the sample video is named as it is found from there; the working folder by
            default.
    """
    text = files("edge_lpr.serve").joinpath("example.toml").read_text(encoding="utf-8")
    base = (folder or Path.cwd()).resolve()
    if (base / SAMPLE).is_file():
        return text.replace(_PLACE, SAMPLE.as_posix())
    # Of a clone that it was installed from, and that is elsewhere.
    own = ROOT / SAMPLE
    return text.replace(_PLACE, own.as_posix()) if own.is_file() else text
