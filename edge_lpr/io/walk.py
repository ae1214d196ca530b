"""Files of a folder tree of which parts may be closed to this user: those are named, the rest is found."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

__all__ = ["READ_ERRORS", "regular_files", "unreadable", "walk_files"]

READ_ERRORS = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError)
"""What may be wrong with a file to read; commands say so of those that nobody foresaw."""


def walk_files(folder: Path, on_problem: Callable[[str], None]) -> Iterator[Path]:
    """Gives the files of a folder and all its subfolders; hidden ones and linked folders are left out.

    Args:
        folder: The folder.
        on_problem: Called with one line for each file and folder that cannot be looked at.
    """
    for base, folders, names in os.walk(folder, onerror=lambda e: on_problem(unreadable(e.filename, e))):
        entries = [*names, *folders]
        if entries and (denied := _denied(Path(base, entries[0]))):
            # It can be listed, and nothing in it opened.
            on_problem(unreadable(base, denied))
            folders.clear()
            continue
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from regular_files((Path(base, n) for n in names if not n.startswith(".")), on_problem)


def regular_files(paths: Iterable[Path], on_problem: Callable[[str], None]) -> Iterator[Path]:
    """Gives those of some paths that are files, links to files included.

    Args:
        paths: The paths.
        on_problem: Called with one line for each that cannot be looked at.
    """
    for path in paths:
        try:
            if stat.S_ISREG(path.stat().st_mode):
                yield path
        except PermissionError as e:
            on_problem(unreadable(path, e))
        except OSError:  # gone, or a link that leads nowhere
            continue


def unreadable(path: str | Path, error: OSError) -> str:
    """Says in one line that something cannot be read, and why."""
    return f"{path}: cannot be read ({error.strerror or error})"


def _denied(path: Path) -> PermissionError | None:
    try:
        path.lstat()
    except PermissionError as e:
        return e
    except OSError:
        return None
    return None
