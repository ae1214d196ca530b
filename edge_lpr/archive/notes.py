"""Small files that are added to, while an attempt at a unit goes on; see `attempts`."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Protocol

from edge_lpr.archive.object_store import Address
from edge_lpr.archive.places import Place, write_whole
from edge_lpr.errors import OutputError

__all__ = ["BEGIN", "Notes", "notes_at"]

BEGIN = b"begin\n"
"""The line of `Notes` with which an attempt begins."""


class Notes(Protocol):
    """A small file that is added to; what cannot be written is left out."""

    def read(self) -> bytes:
        """Returns all that was noted; nothing where nothing was."""
        ...

    def add(self, line: bytes) -> None:
        """Adds a line."""
        ...

    def close(self) -> None:
        """Ends the notes, and forgets them."""
        ...


def notes_at(place: Place) -> Notes:
    """Returns the notes that are kept at a place."""
    return _FileNotes(place) if isinstance(place, Path) else _ObjectNotes(place)


class _FileNotes:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None

    def read(self) -> bytes:
        with suppress(OSError):
            return self._path.read_bytes()
        return b""

    def add(self, line: bytes) -> None:
        # Not written through to the disk: what is to be survived is the end of a process.
        with suppress(OSError):
            if self._file is None:
                self._file = self._path.open("ab", buffering=0)
            self._file.write(line)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
        with suppress(OSError):
            self._path.unlink()


class _ObjectNotes:
    """Objects cannot be added to. So the first attempt at a unit sends one, and only those after it more."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._text: bytes | None = None

    def read(self) -> bytes:
        if self._text is None:
            self._text = b""
            with suppress(Exception):  # of whatever storage there is
                self._text = self._address.read_bytes()
        return self._text

    def add(self, line: bytes) -> None:
        self._text = self.read() + line
        if line == BEGIN or self._text.count(BEGIN) > 1:
            with suppress(OutputError):
                write_whole(self._address, self._text)

    def close(self) -> None:
        with suppress(Exception):
            self._address.unlink(missing_ok=True)
