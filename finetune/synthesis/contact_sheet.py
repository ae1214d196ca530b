"""What the commands that show training images share: rates on one core, and the contact sheet's file."""

from __future__ import annotations

import time
from argparse import ArgumentTypeError
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2

__all__ = ["rates", "sheet_file"]

_SUFFIXES = (".png", ".jpg")


def rates(work: Mapping[str, Callable[[int], object]], seconds: float) -> dict[str, float]:
    """Measures how often per second of this process's own time each function runs, on one core.

    Args:
        work: The functions by name; each gets the number of the call, from 0.
        seconds: How long each is measured.
    """
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    found = {}
    try:
        for name, make in work.items():
            start, count = time.process_time(), 0
            while time.process_time() - start < seconds:
                make(count)
                count += 1
            found[name] = count / (time.process_time() - start)
    finally:
        cv2.setNumThreads(threads)
    return found


def sheet_file(text: str) -> Path:
    """Reads the argument of `--sheet`; other than .png and .jpg is refused before anything is drawn."""
    path = Path(text)
    if path.suffix not in _SUFFIXES:
        raise ArgumentTypeError(f"{text}: cannot write {path.suffix!r}; name it .png or .jpg")
    return path
