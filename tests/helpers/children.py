"""Processes that a test starts, and that import what tests do."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["with_helpers"]

_TESTS = Path(__file__).resolve().parents[1]


def with_helpers() -> dict[str, str]:
    """Returns this process' environment, for a Python that is to find `helpers` and the kit of this tree."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(_TESTS), str(_TESTS.parent)])}
