"""Names of files that fit: into a folder, beside each other, and into the bytes that a name may have."""

from __future__ import annotations

import itertools
import os
import re
from pathlib import Path

__all__ = ["NAME_BYTES", "PART", "beside", "fitted", "part_path", "safe_name", "unique"]

NAME_BYTES = 255
"""Bytes that a name may have on nearly every file system; a Chinese character has three of them in UTF-8."""
PART = re.compile(r"\..+\.\d+-\d+\.part(\.\w+)?", re.DOTALL)
"""What `part_path` calls files."""
_PART_BYTES = 150
_SAFE_BYTES = 120
_numbers = itertools.count()
_UNSAFE = re.compile(r"[^\w.·-]+")


def fitted(stem: str, ending: str = "", limit: int = NAME_BYTES) -> str:
    """Joins a name of its beginning and its end; the beginning is cut where the name would be too long.

    Args:
        stem: The beginning.
        ending: The end, which is kept whole.
        limit: Most bytes of the name, as UTF-8.
    """
    room = max(0, limit - len(os.fsencode(ending)))
    data = os.fsencode(stem)
    if len(data) <= room:
        return stem + ending
    # Half a character at the end is left out; bytes that never were UTF-8 stay as they are.
    while room and data[room] & 0xC0 == 0x80:
        room -= 1
    return os.fsdecode(data[:room]) + ending


def beside(path: Path, ending: str) -> Path:
    """Returns a path in the same folder whose name is the path's with an ending of its own."""
    return path.with_name(fitted(path.name, ending))


def part_path(path: Path, suffix: str = "") -> Path:
    """Returns where a file or folder is written aside: a hidden name in the same folder, of no other writer.

    Args:
        path: The file or folder.
        suffix: What the name has to end with, where what reads it goes by the suffix.
    """
    ending = f".{os.getpid()}-{next(_numbers)}.part{suffix}"
    return path.with_name("." + fitted(path.name, limit=_PART_BYTES) + ending)


def safe_name(text: str) -> str:
    """Makes part of a file name out of any text: letters of all scripts, digits, "." and "-" stay.

    It has at most 120 bytes, so that two of them, a time and a number fit into one name.
    """
    return fitted(_UNSAFE.sub("_", text).strip("._")[:80], limit=_SAFE_BYTES) or "_"


def unique(name: str, taken: set[str]) -> str:
    """Returns the name, or with "-2", "-3" … where it is taken already; and takes it.

    Args:
        name: A file's name, in a folder or not; cut where it is longer than a name may be.
        taken: The names so far, as `str.casefold` gives them.
    """
    path = Path(name)
    candidate = str(path.with_name(fitted(path.stem, path.suffix)))
    n = 1
    while candidate.casefold() in taken:
        n += 1
        candidate = str(path.with_name(fitted(path.stem, f"-{n}{path.suffix}")))
    taken.add(candidate.casefold())
    return candidate
