"""A disk of which one operation fails, as SQLite's I/O error tests have one.

Every opening, write, flush, sync, close, truncation and renaming is counted; the one with a given number
fails, by itself or with all that follow. A test does the same work for each number until none fails.
"""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edge_lpr.io.file_names import PART
from edge_lpr.io.out_file import OutFile

__all__ = ["FailingDisk", "failing_disks", "parts_in"]


class FailingDisk:
    """While entered, replaces the operations by ones that fail.

    Args:
        number: The operation that fails, from 0.
        lasting: Whether all that follow fail too.

    Attributes:
        failed: Those that failed, by name.
    """

    def __init__(self, number: int, lasting: bool) -> None:
        self.failed: list[str] = []
        self._count = 0
        self._number, self._lasting = number, lasting
        self._patch = pytest.MonkeyPatch()

    def __enter__(self) -> FailingDisk:
        set_up, write, close = OutFile.__init__, OutFile.write, OutFile.close

        def opened(file: OutFile, *args: Any, **options: Any) -> None:
            self._may_fail("open", errno.EACCES)
            set_up(file, *args, **options)

        def written(file: OutFile, data: Any) -> int:
            if self._fails("write"):
                io.FileIO.write(file, bytes(data)[: len(data) // 2])  # as far as the disk went
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return write(file, data)

        def closed(file: OutFile) -> None:
            failing = not file.closed and self._fails("close")
            close(file)
            if failing:  # as on a network drive
                raise OSError(errno.EIO, os.strerror(errno.EIO))

        def failing(name: str, call: Callable[..., Any], number: int) -> Callable[..., Any]:
            def counted(*args: Any) -> Any:
                self._may_fail(name, number)
                return call(*args)

            return counted

        patch = self._patch.setattr
        patch(OutFile, "__init__", opened)
        patch(OutFile, "write", written)
        patch(OutFile, "close", closed)
        patch(OutFile, "truncate", failing("truncate", OutFile.truncate, errno.EIO))
        patch(OutFile, "flush", failing("flush", OutFile.flush, errno.EIO))
        patch(Path, "replace", failing("rename", Path.replace, errno.EACCES))
        patch(os, "fsync", failing("sync", os.fsync, errno.EIO))
        return self

    def __exit__(self, *_: object) -> None:
        self._patch.undo()

    def _fails(self, name: str) -> bool:
        number, self._count = self._count, self._count + 1
        fails = number == self._number or (self._lasting and number > self._number)
        if fails:
            self.failed.append(name)
        return fails

    def _may_fail(self, name: str, number: int) -> None:
        if self._fails(name):
            raise OSError(number, os.strerror(number))


def failing_disks(lasting: bool) -> Iterator[FailingDisk]:
    """Gives disks of which the first operation fails, the second … up to one that fails nowhere."""
    for number in range(500):
        disk = FailingDisk(number, lasting)
        yield disk
        if not disk.failed:
            assert number > 0, "the work does nothing that could fail"
            return
    raise AssertionError("the work does not end")


def parts_in(folder: Path) -> list[Path]:
    """Lists what was written aside and is left."""
    return [path for path in folder.rglob("*") if PART.fullmatch(path.name)]
