"""What readers die of: at which picture or segment, and how often; one that kills them is given up."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

__all__ = ["Attempt"]


class Attempt:
    """One attempt at a unit, which leaves a file behind where its process dies; a context manager.

    Not written through to the disk: what is to be survived is the end of a process.

    Args:
        path: The file of the unit, which all attempts add to.
        retries: How many more attempts there are at what one died of.
    """

    def __init__(self, path: Path, retries: int) -> None:
        self._path = path
        self._retries = retries
        self._deaths: dict[int, int] = {}
        self._file: BinaryIO | None = None
        with suppress(OSError):
            for line in path.read_bytes().split(b"begin\n")[1:]:
                if places := line.split():  # one that had not come so far died of something else
                    place = int(places[-1]) if places[-1].isdigit() else 0
                    self._deaths[place] = self._deaths.get(place, 0) + 1

    def __enter__(self) -> Attempt:
        with suppress(OSError):
            self._file = self._path.open("ab", buffering=0)
            self._file.write(b"begin\n")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
        with suppress(OSError):
            self._path.unlink()

    def may_try(self, place: int) -> bool:
        """Tells whether something is to be read; where so, notes that this attempt is at it.

        Args:
            place: Which picture of the unit it is, from 0.
        """
        if self._deaths.get(place, 0) > self._retries:
            return False
        if self._file is not None:
            with suppress(OSError):
                self._file.write(b"%d\n" % place)
        return True

    def deaths(self, place: int) -> int:
        """Returns how many earlier attempts ended at a picture."""
        return self._deaths.get(place, 0)
