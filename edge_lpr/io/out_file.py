"""The files that everything is written through: no write is half done in silence, none replaces a good file.

`OutFile` is a file that is written to where it lies; `PartFile` one that is written aside and takes its name
once all of it is on the disk.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from edge_lpr.errors import OutputError
from edge_lpr.io.file_names import part_path

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["OutFile", "PartFile", "held", "in_use", "is_special", "output_error", "sync_folder"]

_CHUNK = 1 << 20


class OutFile(io.FileIO):
    """A file without a buffer: a text is in the file, not in this process, when `write` returns.

    Args:
        path: The file.
        mode: "x" for one that is not there yet, "a" for one that is added to, "w" for a device or pipe.
        exclusive: Whether it belongs to this process alone for as long as it is open.
        wait: Whether to wait for somebody who reads a pipe.

    Raises:
        OSError: It cannot be opened; `BlockingIOError` where it belongs to another process.
    """

    def __init__(self, path: Path, mode: str, exclusive: bool = True, wait: bool = True) -> None:
        super().__init__(path, f"{mode}b" if mode == "w" else f"{mode}+b", opener=None if wait else _at_once)
        self.path = path
        if exclusive:
            try:
                _lock(self.fileno())
            except OSError:
                self.close()
                raise

    def write(self, data: ReadableBuffer, /) -> int:
        """Writes all of it, which the system's own call need not.

        Raises:
            OSError: Disk full, for one; what was written until then stays.
        """
        view = memoryview(data).cast("B")
        done = 0
        while done < len(view):
            done += super().write(view[done:]) or 0
        return done

    def sync(self) -> None:
        """Puts what was written onto the disk: it is there after a power cut too."""
        os.fsync(self.fileno())

    def is_at(self, path: Path) -> bool:
        """Tells whether a path still leads to this file, or it was deleted, moved away or replaced."""
        try:
            there = path.stat()
        except FileNotFoundError:
            return False
        return os.path.samestat(there, os.fstat(self.fileno()))


class PartFile(OutFile):
    """A file that is written aside: what has its name is the older file, whole, or this one, whole.

    After an error it is left beside, and the older file as it was: see `failure`.

    Args:
        path: What it is to be called; not a link.
        suffix: What its name has to end with until then; see `part_path`.

    Raises:
        OSError: It cannot be opened.
    """

    def __init__(self, path: Path, suffix: str = "") -> None:
        if path.is_symlink():  # one that leads to itself: all others were followed
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        super().__init__(part_path(path, suffix), "x")
        self.final = path

    def complete(self, durable: bool = True) -> bool:
        """Gives the file its name.

        Args:
            durable: Whether all of it is on the disk before: after a power cut too, the old file or the new
                one is there.

        Returns:
            Whether somebody had deleted it meanwhile, and it was written again.

        Raises:
            OSError: It cannot be put on the disk, or not get its name.
        """
        if durable:
            self.sync()
        deleted = not self.is_at(self.path)
        if deleted:
            self._restore(durable)
        self.close()
        self.path.replace(self.final)
        return deleted

    def discard(self) -> None:
        """Removes the file; what has its name stays."""
        with contextlib.suppress(OSError):
            self.close()
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)

    def failure(self, shown: Path, error: OSError) -> OutputError:
        """Closes the file after an error, leaves it where there is anything in it, and says so in one line.

        Args:
            shown: What the line calls the file that was to be written.
            error: What went wrong.
        """
        with contextlib.suppress(OSError):
            self.close()
        try:
            kept = self.path.stat().st_size > 0
            if not kept:
                self.path.unlink()
        except OSError:
            kept = False
        part = self.path if shown.is_symlink() else shown.with_name(self.path.name)
        left = f"; what was written lies in {part}" if kept else ""
        if self.final.exists():
            left += f"; {shown} is as it was"
        return OutputError(f"{output_error(shown, error)}{left}")

    def _restore(self, durable: bool) -> None:
        """Writes the file again where somebody deleted it: what is still open is not lost yet."""
        self.final.parent.mkdir(parents=True, exist_ok=True)
        with OutFile(self.path, "x", exclusive=False) as again:
            self.seek(0)
            while chunk := self.read(_CHUNK):
                again.write(chunk)
            if durable:
                again.sync()


def is_special(path: Path) -> bool:
    """Tells whether a device, a pipe or a folder has the name: nothing that may be replaced."""
    return path.exists() and not path.is_file()


def sync_folder(folder: Path) -> None:
    """Puts the names of a folder's files onto the disk, where the system can."""
    with contextlib.suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)


@contextlib.contextmanager
def held(folder: Path) -> Iterator[bool]:
    """Marks a folder as in use by this process, where the system can; see `in_use`.

    Gives:
        False where another process has it: of two that come at once, one is told so.
    """
    number, free = -1, True
    with contextlib.suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            _lock(number)
        except BlockingIOError:
            free = False
    try:
        yield free
    finally:
        if number >= 0:
            os.close(number)


def in_use(path: Path) -> bool | None:
    """Tells whether a process writes a part; None where that cannot be told (Windows, no permission)."""
    try:
        number = os.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        return False if _lock(number) else None
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(number)


def output_error(path: Path, error: OSError) -> OutputError:
    """Says in one line that a file cannot be written, and why."""
    if isinstance(error, FileNotFoundError):
        return OutputError(f"{path}: cannot be written, there is no folder {path.parent}; create it first")
    if isinstance(error, BlockingIOError):
        return OutputError(f"{path}: another run is writing to it; give each run a file of its own")
    return OutputError(f"{path}: cannot be written ({error.strerror or error})")


def _at_once(path: str, flags: int) -> int:
    number = os.open(path, flags | getattr(os, "O_NONBLOCK", 0), 0o666)
    if hasattr(os, "O_NONBLOCK"):
        os.set_blocking(number, True)
    return number


def _lock(number: int) -> bool:
    """Takes a file for this process, until it is closed; False where the file system has no locks.

    Raises:
        BlockingIOError: Another process has it.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return False
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError as e:
        if e.errno in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL):
            return False
        raise
    return True
