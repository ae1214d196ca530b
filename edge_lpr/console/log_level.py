"""How much is told on standard error, and the one place that says so."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["LEVELS", "at_level", "shows"]

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
"""Levels by name, the one that tells most first."""

_logger = logging.getLogger("edge_lpr")
_level = [logging.INFO]


def shows(level: str) -> bool:
    """Tells whether what is of a level is told."""
    return LEVELS[level] >= _level[-1]


@contextmanager
def at_level(level: str) -> Iterator[None]:
    """While entered, what is of this level and above is told, by the commands and the log."""
    before = _logger.level
    _level.append(LEVELS[level])
    _logger.setLevel(LEVELS[level])
    try:
        yield
    finally:
        _level.pop()
        _logger.setLevel(before)
