"""Where lines of text go: a file, or standard output."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TextIO

from edge_lpr.io.atomic_io import TextFile, output_error
from edge_lpr.outputs.base import STDOUT, RunInfo


class TextOut:
    """A file, standard output, or any text stream that is open already.

    Args:
        where: The file, "-" for standard output, or the stream, which is left open.
        run: Whether a file is appended to, and the progress line to clear before standard output is written.
        bom: Whether a new file starts with a byte-order mark; see `TextFile`.

    Attributes:
        stream: The stream; None for a file.
        empty: Whether nothing was there before.

    Raises:
        OutputError: It cannot be written to.
    """

    def __init__(self, where: str | Path | TextIO, run: RunInfo, bom: bool = False) -> None:
        self.stream: TextIO | None = None
        self._file: TextFile | None = None
        self._clear = run.clear
        self.empty = True
        if isinstance(where, str | Path) and where != STDOUT:
            self._file = TextFile(Path(where), run.live, bom)
            self.empty = self._file.empty
        else:
            self.stream = sys.stdout if isinstance(where, str | Path) else where

    def write(self, text: str) -> None:
        """Writes a text through at once.

        Raises:
            OutputError: It cannot be written.
            BrokenPipeError: Who read standard output has gone.
        """
        if self._file is not None:
            self._file.write(text)
        elif self.stream is not None:
            self._clear()
            try:
                self.stream.write(text)
                self.stream.flush()
            except BrokenPipeError:
                raise  # who reads our output has gone: no fault to report
            except OSError as e:
                raise output_error(Path("standard output"), e) from e

    def close(self) -> None:
        """Completes the file; may be called twice."""
        if self._file is not None:
            self._file.close()

    def discard(self) -> None:
        """Leaves the file as it was."""
        if self._file is not None:
            self._file.discard()
