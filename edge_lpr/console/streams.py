"""Standard output and error: ours alone, and without the secrets of addresses.

OpenCV and FFmpeg write to both by themselves, addresses with their passwords among it, and a line of theirs
between two of ours would spoil JSON Lines.
"""

from __future__ import annotations

import io
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO, cast

from edge_lpr.masking import MaskedStream, masked

__all__ = ["libraries_apart", "masked_stderr"]

_LONGEST = 1 << 14  # bytes without a line end that are shown as they stand
_GRACE = 5.0  # seconds for what was written last; a process that was started and goes on holds the pipe open


@contextmanager
def masked_stderr() -> Iterator[None]:
    """While entered, all that Python writes to standard error is masked: messages, tracebacks, warnings."""
    before = sys.stderr
    if before is not None:  # as it is in a program without a console
        sys.stderr = cast(TextIO, MaskedStream(before))
    try:
        yield
    finally:
        sys.stderr = before


@contextmanager
def libraries_apart(shown: bool) -> Iterator[None]:
    """While entered, what C libraries write to standard output and error goes elsewhere; Python's own stays.

    FFmpeg, libpng and OpenCV print a line for every damaged block of a video. Errors reach the user as ours.

    Args:
        shown: Whether what they write is shown on standard error, masked line by line; otherwise it is
            dropped.
    """
    if _number(sys.stderr) != 2:  # replaced by something that is no file, or another one
        yield
        return
    sys.stderr.flush()
    kept = {2: os.dup(2)}
    if _number(sys.stdout) == 1:
        sys.stdout.flush()
        kept[1] = os.dup(1)
    before = sys.stdout, sys.stderr
    sink, reader = _masking_pipe(kept[2]) if shown else (os.open(os.devnull, os.O_WRONLY), None)
    try:
        for number in kept:
            os.dup2(sink, number)
        os.close(sink)
        sys.stderr = cast(TextIO, MaskedStream(_reopened(kept[2], sys.stderr)))
        if 1 in kept:
            sys.stdout = _reopened(kept[1], sys.stdout)
        yield
    finally:
        sys.stdout, sys.stderr = before
        for number, copy in kept.items():
            os.dup2(copy, number)
        if reader is not None:
            reader.join(_GRACE)
        for copy in kept.values():
            os.close(copy)


def _number(stream: TextIO) -> int:
    try:
        return stream.fileno()
    except (AttributeError, OSError, ValueError):
        return -1


def _reopened(number: int, like: TextIO) -> TextIO:
    """Opens a file descriptor as a text stream in another's encoding.

    It holds nothing back, as Python's own with -u: what cannot be written is an error where it is written.
    """
    raw = io.FileIO(number, "w", closefd=False)
    return io.TextIOWrapper(
        cast(io.BufferedWriter, raw), encoding=like.encoding, errors="backslashreplace", write_through=True
    )


def _masking_pipe(out: int) -> tuple[int, threading.Thread]:
    """Makes a pipe whose lines go masked to a file descriptor; returns where to write, and what reads."""
    ours, theirs = os.pipe()

    def pump() -> None:
        with os.fdopen(ours, "rb", buffering=_LONGEST) as lines:
            while line := lines.readline(_LONGEST):
                text = masked(line.decode("utf-8", "surrogateescape"))
                os.write(out, text.encode("utf-8", "surrogateescape"))

    reader = threading.Thread(target=pump, name="edge-lpr libraries", daemon=True)
    reader.start()
    return theirs, reader
