"""A file of lines that is added to while a camera's run goes on, and after it was cut off at any moment."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from edge_lpr.counting import counted
from edge_lpr.errors import OutputError
from edge_lpr.io.out_file import OutFile, output_error, sync_folder
from edge_lpr.io.text_file import LineFormat, TextFile, encoded, open_device, put

__all__ = ["AppendedText"]

_CHUNK = 1 << 16


class AppendedText(TextFile):
    """Lines that are added to a file, each on the disk when `write` returns.

    After an error the next `write` tries again, with the file opened anew: a full disk has room again, a
    drive is back. A file that was deleted or moved away is begun again.

    Raises:
        OutputError: The file cannot be written, belongs to another run, or is not of this kind.
    """

    def __init__(self, path: Path, lines: LineFormat, on_warning: Callable[[str], None]) -> None:
        super().__init__(path, lines, on_warning)
        self._closed = False
        self._file: OutFile | None = None
        self._is_device = False
        try:
            self._open(wait=True)
        except OSError as e:
            raise output_error(path, e) from e

    def write(self, text: str) -> None:
        """See `TextFile.write`; may be called again after an error."""
        if self._closed:
            raise OutputError(f"{self._shown}: already closed")
        if not text:
            return
        try:
            if self._file is not None and not self._file.is_at(self._path):
                self._release()
                self._warn(f"{self._shown}: was deleted or moved away; begun again")
            file = self._file or self._open()
            if self._is_device:
                file.write(encoded(text))
            else:
                put(file, text, durable=True)
        except OSError as e:
            self._release()
            raise output_error(self._shown, e) from e

    def close(self) -> None:
        """See `TextFile.close`."""
        self._closed = True
        self._release()

    def discard(self) -> None:
        """See `TextFile.discard`."""
        self.close()

    def _open(self, wait: bool = False) -> OutFile:
        device = open_device(self._path, wait)
        self._is_device = device is not None
        if device is not None:
            self._file = device
            device.write(encoded(self._device_head))
            return device
        new = not self._path.exists()
        self._file = file = OutFile(self._path, "a")
        try:
            if self._mend(file) == 0:
                put(file, self._lines.head, durable=True)
            if new:
                sync_folder(self._path.parent)
        except BaseException:
            self._release()
            raise
        return file

    def _release(self) -> None:
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                file.close()

    def _mend(self, file: OutFile) -> int:
        """Takes off what a power cut left of a last line; returns the file's size in bytes then.

        Raises:
            OutputError: The file holds something else.
        """
        end = self._lines.end.encode()
        size = file.seek(0, os.SEEK_END)
        last = _end_of_last_line(file, size, end)
        head = self._lines.head.encode()
        first = _first_line(file, end)
        if first is None:  # no line has ended yet
            if not (head.startswith(_read(file, 0, size)) or self._is_first(_read(file, 0, size))):
                raise self._other()
        elif not self._is_first(first):
            raise self._other()
        if last < size:
            torn = _read(file, last, size)
            if self._lines.is_whole(torn.decode("utf-8", "replace")):
                put(file, self._lines.end, durable=True)
                return size + len(end)
            file.truncate(last)
            self._warn(
                f"{self._shown}: its last line was torn and was cut off ({counted(size - last, 'bytes')})"
            )
        return last

    def _is_first(self, line: bytes) -> bool:
        return self._lines.is_first(line.decode("utf-8", "replace"))

    def _other(self) -> OutputError:
        return OutputError(
            f"{self._shown}: not {self._lines.name} to add to; give a new file, or move this one away"
        )


def _read(file: OutFile, start: int, stop: int) -> bytes:
    """Reads bytes of a file, at most 64 KiB of them from the start."""
    file.seek(start)
    return file.read(min(stop - start, _CHUNK))


def _first_line(file: OutFile, end: bytes) -> bytes | None:
    """Returns the first line without its end; None where none ends in the first 64 KiB."""
    line, found, _ = _read(file, 0, _CHUNK).partition(end)
    return line if found else None


def _end_of_last_line(file: OutFile, size: int, end: bytes) -> int:
    """Returns where the last whole line ends, in bytes from the start."""
    stop = size
    while stop > 0:
        start = max(0, stop - _CHUNK)
        at = _read(file, start, stop).rfind(end)
        if at >= 0:
            return start + at + len(end)
        # An end may lie across the two chunks.
        stop = start + len(end) - 1 if start else 0
    return 0
