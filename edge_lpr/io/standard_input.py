"""Standard input as a source, "-": an image or a video that another program sends."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import IO, BinaryIO

from edge_lpr.errors import SourceError
from edge_lpr.io.frames import Frame, Source
from edge_lpr.io.image_io import MAX_BYTES, decode_image
from edge_lpr.io.sniff import HEAD, is_image

__all__ = ["STDIN", "STDIN_LABEL", "StandardInput", "StdinImage", "standard_input"]

STDIN = "-"
"""The source that means standard input; a file of that name is "./-"."""
STDIN_LABEL = "stdin"
"""What messages and results call it."""
MAX_ASIDE = 2 << 30
"""Most bytes of a video that are put aside in a file."""
_BLOCK = 1 << 20
_MOVIE_BOXES = frozenset({b"ftyp", b"mdat", b"moov", b"wide", b"free", b"skip", b"pnot", b"uuid"})


class StandardInput:
    """What comes in, from first to last; its first bytes may be looked at before.

    Args:
        file: Standard input's bytes.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._head: bytes | None = None
        self._at = 0
        self._taken = False

    def head(self) -> bytes:
        """Waits for the first bytes, and leaves them for `read`."""
        if self._head is None:
            self._head = self._file.read(HEAD)
        return self._head

    def is_image(self) -> bool:
        """Tells whether it is an image; else it can only be a video."""
        return is_image(self.head())

    def take(self) -> None:
        """Says that it is read now.

        Raises:
            SourceError: It was read before.
        """
        if self._taken:
            raise SourceError(f"{STDIN_LABEL}: was read already; standard input can be read once")
        self._taken = True

    def read(self, size: int, /) -> bytes:
        """Waits for bytes; returns at most so many, and none at the end."""
        head = self.head()
        if self._at < len(head):
            found = head[self._at : self._at + size]
            self._at += len(found)
            return found
        read1: Callable[[int], bytes] = getattr(self._file, "read1", self._file.read)
        return read1(size)

    def close(self) -> None:
        """Does nothing: it is the process's, and stays open."""

    def read_all(self, limit: int) -> bytes:
        """Reads to the end.

        Raises:
            SourceError: There are more bytes.
        """
        data = bytearray()
        while block := self.read(_BLOCK):
            data += block
            if len(data) > limit:
                raise SourceError(f"{STDIN_LABEL}: an image of more than {limit >> 20} MiB")
        return bytes(data)

    def index_is_last(self) -> bool:
        """Tells whether it is an MP4 or MOV that can be read from a file alone: its index is not in front."""
        head, at = self.head(), 0
        if head[4:8] not in _MOVIE_BOXES:
            return False
        while at + 8 <= len(head):
            size, kind = int.from_bytes(head[at : at + 4], "big"), head[at + 4 : at + 8]
            if kind == b"moov":
                return False
            if kind == b"mdat" or size < 8:
                return True
            at += size
        return True

    def put_aside(self, on_note: Callable[[str], None]) -> IO[bytes]:
        """Writes all of it to a file that has no name and is gone with the process.

        Args:
            on_note: Told so.

        Raises:
            SourceError: There is no room for it, or it is too large.
        """
        folder, most = tempfile.gettempdir(), f"{MAX_ASIDE >> 30} GiB"
        on_note(
            f"{STDIN_LABEL}: its index is at its end, so it is put aside in {folder} first, up to {most}; "
            "MPEG-TS, Matroska and MP4 with -movflags +faststart are read as they come"
        )
        try:
            file = tempfile.TemporaryFile(prefix="edge-lpr-")  # noqa: SIM115 - who decodes it closes it
            while block := self.read(_BLOCK):
                if file.tell() + len(block) > MAX_ASIDE:
                    file.close()
                    raise SourceError(
                        f"{STDIN_LABEL}: a video of more than {most} whose index is at its end; "
                        "write it to a file first, and give that"
                    )
                file.write(block)
            file.seek(0, os.SEEK_SET)
        except OSError as e:
            raise SourceError(f"{STDIN_LABEL}: cannot be put aside in {folder} ({e.strerror})") from e
        return file


_known: list[StandardInput] = []


def standard_input() -> StandardInput:
    """Returns standard input.

    Raises:
        SourceError: There is none, or it is a terminal.
    """
    file = getattr(sys.stdin, "buffer", None)
    if file is None or file.closed:
        raise SourceError(f"{STDIN_LABEL}: standard input is closed; send an image or video: … | edge-lpr -")
    if file.isatty():
        raise SourceError(
            f"{STDIN_LABEL}: standard input is a terminal; send an image or video: cat a.mp4 | edge-lpr -"
        )
    if not _known or _known[0]._file is not file:
        _known[:] = [StandardInput(file)]
    return _known[0]


class StdinImage(Source):
    """An image from standard input.

    Args:
        data: Where it comes from.
        max_pixels: See `decode_image`.
        on_warning: See `Source`.
    """

    is_image = True

    def __init__(self, data: StandardInput, max_pixels: int, on_warning: Callable[[str], None]) -> None:
        super().__init__(STDIN_LABEL, on_warning)
        self._data = data
        self._max_pixels = max_pixels
        self.total = 1

    def __iter__(self) -> Iterator[Frame]:
        self.received = 1
        try:
            image = decode_image(self._data.read_all(MAX_BYTES), self.label, self._max_pixels)
        except SourceError as e:
            self.skipped += 1
            self.on_warning(str(e))
        else:
            yield Frame(image, 0, None, self.label)
        self.state = "done"
