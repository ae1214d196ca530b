"""What runs that were killed left behind: files and folders that never got their names."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from edge_lpr.io.file_names import PART
from edge_lpr.io.out_file import in_use

__all__ = ["Leftover", "find_leftovers"]

MOST_FOLDERS = 20_000
"""Folders that are looked into: a tree of any size is given up after some seconds."""


@dataclass(frozen=True)
class Leftover:
    """A file or folder that was written aside and not given its name.

    Attributes:
        path: Where it lies.
        size: Bytes of a file, or of a folder's files.
        modified: When it was written to last, in seconds since the epoch.
        certain: Whether the run that wrote it is certainly over; on Windows it may go on.
    """

    path: Path
    size: int
    modified: float
    certain: bool


def find_leftovers(folders: Iterable[Path]) -> Iterator[Leftover]:
    """Finds what killed runs left in some folders and below; what a run is writing now is left out.

    Args:
        folders: The folders; those that cannot be looked into are passed over.
    """
    seen: set[Path] = set()
    for folder in folders:
        for path in _parts(folder):
            busy = in_use(path)
            if busy or (where := Path(os.path.realpath(path))) in seen:
                continue
            seen.add(where)
            try:
                status = path.stat()
                files = list(path.iterdir()) if path.is_dir() else [path]
                size = sum(file.stat().st_size for file in files)
            except OSError:  # it has got its name meanwhile
                continue
            yield Leftover(path, size, status.st_mtime, certain=busy is False)


def _parts(folder: Path) -> Iterator[Path]:
    for count, (base, folders, names) in enumerate(os.walk(folder)):
        yield from (Path(base, name) for name in chain(names, folders) if PART.fullmatch(name))
        folders[:] = [name for name in folders if not name.startswith(".")]
        if count >= MOST_FOLDERS:
            return
