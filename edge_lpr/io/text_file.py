"""Files of lines that are readable at every moment: replaced when a run ends, or added to while it runs.

Over files the results are written aside and take their name when the run ends, however it ends: an older file
is replaced by a complete one, never by half of one (`ReplacedText`). A camera's run has no end and is started
again after a power cut: its results are appended to the file itself, line by line, and never replace any
(`appended_text.AppendedText`).
"""

from __future__ import annotations

import contextlib
import errno
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge_lpr.errors import OutputError
from edge_lpr.io.out_file import OutFile, PartFile, is_special, output_error

__all__ = ["LineFormat", "ReplacedText", "TextFile", "encoded", "open_device", "put"]


@dataclass(frozen=True)
class LineFormat:
    """What the lines of a file are like.

    Attributes:
        name: What such a file is called, as the end of a sentence: "a file of JSON lines".
        is_first: Tells whether a line, without its end, may be the first of such a file.
        is_whole: Tells whether a last line without its end is a whole one nevertheless.
        head: What a new file begins with.
        end: What ends each line.
    """

    name: str = "a file of lines"
    is_first: Callable[[str], bool] = lambda line: True
    is_whole: Callable[[str], bool] = lambda line: False
    head: str = ""
    end: str = "\n"


class TextFile(ABC):
    """A UTF-8 file of lines.

    Args:
        path: The file; a link is followed, a device or pipe is written to as it is.
        lines: What its lines are like.
        on_warning: Called with one line for each thing that went wrong and was put right.
    """

    def __init__(self, path: Path, lines: LineFormat, on_warning: Callable[[str], None]) -> None:
        self._shown = path
        self._path = Path(os.path.realpath(path))
        self._lines = lines
        self._warn = on_warning

    @abstractmethod
    def write(self, text: str) -> None:
        """Writes lines through to the file: all of them or none.

        Raises:
            OutputError: Disk full, for one. What was written before stays whole.
        """

    @abstractmethod
    def close(self) -> None:
        """Completes the file; may be called twice.

        Raises:
            OutputError: It cannot be completed; the message says where the results lie.
        """

    @abstractmethod
    def discard(self) -> None:
        """Leaves what was there before a run that read nothing."""

    @property
    def _device_head(self) -> str:
        # The mark by which Excel takes UTF-8 belongs to a file alone.
        return self._lines.head.removeprefix("\ufeff")


def put(file: OutFile, text: str, durable: bool) -> None:
    """Writes all of a text to the end of a file, or takes back what was written of it.

    Args:
        file: The file; no device.
        text: What to write; nothing is done for none.
        durable: Whether it is on the disk then.
    """
    if not text:
        return
    before = file.seek(0, os.SEEK_END)
    try:
        file.write(encoded(text))
        if durable:
            file.sync()
    except OSError:
        with contextlib.suppress(OSError):
            file.truncate(before)
        raise


def encoded(text: str) -> bytes:
    """Returns a text as UTF-8; what is no Unicode in it is escaped."""
    return text.encode("utf-8", "backslashreplace")


class ReplacedText(TextFile):
    """Lines that are written aside; `close` gives them the file's name where nothing failed.

    Raises:
        OutputError: The file cannot be written.
    """

    def __init__(self, path: Path, lines: LineFormat, on_warning: Callable[[str], None]) -> None:
        super().__init__(path, lines, on_warning)
        self._file: OutFile | None = None
        try:
            self._file = open_device(self._path) or PartFile(self._path)
        except OSError as e:
            raise output_error(path, e) from e
        self.write(lines.head if isinstance(self._file, PartFile) else self._device_head)

    def write(self, text: str) -> None:
        """See `TextFile.write`; after an error the file takes no more."""
        if self._file is None:
            raise OutputError(f"{self._shown}: already closed")
        try:
            if isinstance(self._file, PartFile):
                put(self._file, text, durable=False)
            else:
                self._file.write(encoded(text))
        except OSError as e:
            raise self._failure(e) from e

    def close(self) -> None:
        """See `TextFile.close`."""
        try:
            if isinstance(self._file, PartFile):
                if self._file.complete():
                    self._warn(f"{self._shown}: was deleted while it was written, and is there again")
            elif self._file is not None:
                self._file.close()
        except OSError as e:
            raise self._failure(e) from e
        self._file = None

    def discard(self) -> None:
        """See `TextFile.discard`."""
        if isinstance(self._file, PartFile):
            self._file.discard()
        elif self._file is not None:
            self._file.close()
        self._file = None

    def _failure(self, error: OSError) -> OutputError:
        file, self._file = self._file, None
        if isinstance(file, PartFile):
            return file.failure(self._shown, error)
        if file is not None:
            file.close()
        return output_error(self._shown, error)


def open_device(path: Path, wait: bool = True) -> OutFile | None:
    """Opens a device or pipe to write to it as it is; None where the path is none.

    Args:
        path: The path.
        wait: Whether to wait for somebody who reads a pipe; else there is an error where nobody does.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "it is a folder; expected a file")
    return OutFile(path, "w", exclusive=False, wait=wait) if is_special(path) else None
