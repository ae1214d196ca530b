"""Figures that were measured before, so that an interrupted calibration goes on where it was."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from pathlib import Path

from edge_lpr.errors import InputError, OutputError
from edge_lpr.io.atomic_io import write_json
from edge_lpr.io.bounded_io import read_bounded
from edge_lpr.io.plain_data import parse_json

__all__ = ["Cache", "cache_key"]

FORMAT = "edge-lpr calibration 3"
"""Part of every key. A change to how models are made or measured must count it up: the older figures, which
the key would else find, would no longer be those of the models that are made."""
_MAX_BYTES = 64 << 20


class Cache:
    """Figures measured before, in a JSON file that is rewritten after each new one.

    Args:
        path: The file; None remembers nothing.

    Attributes:
        remembered: Keys that were asked for and stood in the file.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.values: dict[str, float] = {}
        self.remembered: set[str] = set()
        if path is not None and path.is_file():
            try:
                stored = parse_json(
                    read_bounded(path, _MAX_BYTES, "a cache", InputError), str(path), InputError
                )
                self.values = {str(k): float(v) for k, v in stored.items()}
            except (InputError, ValueError, AttributeError, TypeError):
                self.values = {}  # a damaged cache is as good as none
        self._stored = frozenset(self.values)

    def get(self, key: str, measure: Callable[[], float]) -> float:
        """Returns a figure, measured now if it never was."""
        if key in self._stored:
            self.remembered.add(key)
        if key not in self.values:
            self.values[key] = measure()
            if self.path is not None:
                try:
                    self.path.parent.mkdir(parents=True, exist_ok=True)
                    # JSON has no NaN, which a model that INT8 broke may be measured to give.
                    finite = {k: v for k, v in self.values.items() if math.isfinite(v)}
                    write_json(self.path, finite, indent=0)
                except (OSError, OutputError):
                    self.path = None  # remembering is a convenience; the search goes on without
        return self.values[key]


def cache_key(*parts: bytes | str) -> str:
    """Returns a digest, 64 hex digits, of everything that figures depend on."""
    digest = hashlib.sha256(FORMAT.encode())
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()
