"""Files that are complete, or not there under their name: written aside, then renamed.

What is written aside lies in the same folder, hidden, under a name that ends in ".part".
"""

from __future__ import annotations

import itertools
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, BinaryIO

from edge_lpr.errors import OutputError
from edge_lpr.io.plain_data import escape_controls

_numbers = itertools.count()
_UNSAFE = re.compile(r"[^\w.·-]+")


class TextFile:
    """A UTF-8 file that is readable at every moment.

    Over files the results are written aside and take their name when the run ends, however it ends: an older
    file is replaced by a complete one, never by half of one. A camera's run has no end and is started again
    after a power cut: its results are appended to the file itself, line by line, and never replace any.

    Args:
        path: The file; a device or pipe is written to as it is.
        append: Whether to append.
        bom: Whether a new file starts with a byte-order mark, which Excel takes UTF-8 by.

    Raises:
        OutputError: It cannot be written.
    """

    def __init__(self, path: Path, append: bool = False, bom: bool = False) -> None:
        self.path = path.resolve()
        self._shown = path
        special = _is_special(self.path)
        self._aside = None if append or special else part_path(self.path)
        self._file: BinaryIO | None = None
        try:
            if self.path.is_dir():
                raise IsADirectoryError(21, "it is a folder; expected a file")
            # Unbuffered: a line is in the file, not in this process, when `write` returns.
            self._file = (self._aside or self.path).open("ab" if append else "wb", buffering=0)
            self.empty = special or self._file.tell() == 0
            if bom and self.empty and not special:
                self._file.write(b"\xef\xbb\xbf")
            elif append and not self.empty:
                self._end_last_line()
        except OSError as e:
            raise output_error(path, e) from e

    def write(self, text: str) -> None:
        """Writes a text through to the file.

        Raises:
            OutputError: Disk full, for one. What was written before stays whole.
        """
        if self._file is None:
            raise OutputError(f"{self._shown}: already closed")
        data = text.encode("utf-8", "backslashreplace")
        done = 0
        try:
            while done < len(data):
                done += self._file.write(data[done:])
        except OSError as e:
            if done:
                self._cut(done)
            raise output_error(self._shown, e) from e

    def close(self) -> None:
        """Closes the file and gives it its name.

        Raises:
            OutputError: The rename failed; the message says where the results lie.
        """
        if self._file is None:
            return
        file, self._file = self._file, None
        try:
            file.close()
            if self._aside is not None:
                self._aside.replace(self.path)
        except OSError as e:
            where = f"; the results lie in {self._aside}" if self._aside else ""
            raise OutputError(f"{self._shown}: cannot be completed ({e.strerror or e}){where}") from e

    def discard(self) -> None:
        """Gives up what was written aside; what was there before stays."""
        if self._file is None:
            return
        self._file.close()
        self._file = None
        if self._aside is not None:
            self._aside.unlink(missing_ok=True)

    def _cut(self, done: int) -> None:
        """Takes back half a line."""
        if self._file is not None and self._file.seekable():
            self._file.truncate(self._file.tell() - done)

    def _end_last_line(self) -> None:
        """A power cut may have left half a line: the next starts on its own."""
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n" and self._file is not None:
                self._file.write(b"\n")


def write_bytes(path: str | Path, data: bytes | memoryview, *, durable: bool = True) -> None:
    """Writes a file whole, or leaves what is there as it is.

    Args:
        path: The file.
        data: What it is to hold.
        durable: Whether it is on the disk before it has its name; see `write_with`.

    Raises:
        OutputError: It cannot be written.
    """
    write_with(path, lambda file: file.write(data), durable=durable)


def write_json(path: str | Path, data: Mapping[str, Any], indent: int | None = 1) -> None:
    """Writes JSON whole, or leaves what is there as it is.

    Args:
        path: The file; "-" is standard output.
        data: What it is to hold; no NaN in it.
        indent: Blanks per level; None for one line.

    Raises:
        OutputError: It cannot be written.
    """
    text = json_text(data, indent)
    if str(path) == "-":
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except BrokenPipeError:
            raise
        except OSError as e:
            raise output_error(Path("standard output"), e) from e
    else:
        write_bytes(path, text.encode())


def json_text(data: Mapping[str, Any], indent: int | None = 1) -> str:
    """Returns JSON as `write_json` writes it: in Unicode, control characters escaped.

    Args:
        data: What it is to hold; no NaN in it.
        indent: Blanks per level; None for one line.
    """
    return escape_controls(json.dumps(data, ensure_ascii=False, indent=indent, allow_nan=False)) + "\n"


def write_with(path: str | Path, write: Callable[[IO[bytes]], object], *, durable: bool = True) -> None:
    """Has a function write a file, and gives it its name once all of it is on the disk.

    Args:
        path: The file; a link is followed, a device or pipe is written to as it is.
        write: Writes into the open file that it is given.
        durable: Whether all of it is on the disk before it has its name: a power cut leaves the old file or
            the new one. Not for one of many small files, where that would take longer than the writing.

    Raises:
        OutputError: It cannot be written; what was there before is untouched.
    """
    shown, path = Path(path), Path(path).resolve()
    try:
        if _is_special(path) and not path.is_dir():
            with path.open("wb", buffering=0) as file:
                write(file)
            return
    except OSError as e:
        raise output_error(shown, e) from e
    part = part_path(path)
    try:
        try:
            with part.open("wb") as file:
                write(file)
                file.flush()
                if durable:
                    os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as e:
        raise output_error(shown, e) from e


def _is_special(path: Path) -> bool:
    """Tells whether a device, a pipe or a folder has the name: nothing that may be replaced."""
    return path.exists() and not path.is_file()


def part_path(path: Path, suffix: str = "") -> Path:
    """Returns where a file is written aside: a hidden name in the same folder, of no other writer.

    Args:
        path: The file.
        suffix: What the name has to end with, where what writes it goes by the suffix.
    """
    # A name may have 255 bytes; a Chinese character has three of them in UTF-8.
    stem = path.name.encode()[:150].decode(errors="ignore")
    return path.with_name(f".{stem}.{os.getpid()}-{next(_numbers)}.part{suffix}")


def create_folder(folder: Path) -> None:
    """Creates a folder with its parents, and sees that it can be written to.

    Raises:
        OutputError: It cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as e:
        raise output_error(folder, e) from e


def safe_name(text: str) -> str:
    """Makes part of a file name out of any text: letters of all scripts, digits, "." and "-" stay."""
    return _UNSAFE.sub("_", text).strip("._")[:80] or "_"


def unique(name: str, taken: set[str]) -> str:
    """Returns the name, or with "-2", "-3" … where it is taken already; and takes it."""
    path = Path(name)
    candidate, n = name, 1
    while candidate.casefold() in taken:
        n += 1
        candidate = str(path.with_name(f"{path.stem}-{n}{path.suffix}"))
    taken.add(candidate.casefold())
    return candidate


def output_error(path: Path, error: OSError) -> OutputError:
    """Says in one line that a file cannot be written, and why."""
    if isinstance(error, FileNotFoundError):
        return OutputError(f"{path}: cannot be written, there is no folder {path.parent}; create it first")
    return OutputError(f"{path}: cannot be written ({error.strerror or error})")
