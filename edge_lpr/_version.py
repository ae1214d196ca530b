"""The kit's version, which packages, files that it makes and `--version` bear."""

from __future__ import annotations

__version__ = "0.1.0"
