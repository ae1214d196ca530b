"""Where lines of text go: a file, or standard output."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TextIO

from edge_lpr.io.appended_text import AppendedText
from edge_lpr.io.out_file import output_error
from edge_lpr.io.text_file import LineFormat, ReplacedText, TextFile
from edge_lpr.outputs.base import STDOUT, Output, RunInfo

_PLAIN = LineFormat()


class TextOut:
    """A file, standard output, or any text stream that is open already.

    Args:
        where: The file, "-" for standard output, or the stream, which is left open.
        run: Whether a file is added to or replaced, and the progress line to clear before standard output is
            written.
        lines: What the lines are like.

    Attributes:
        stream: The stream; None for a file.

    Raises:
        OutputError: It cannot be written to.
    """

    def __init__(self, where: str | Path | TextIO, run: RunInfo, lines: LineFormat = _PLAIN) -> None:
        self.stream: TextIO | None = None
        self._file: TextFile | None = None
        self._clear = run.clear
        self._begun = False
        if isinstance(where, str | Path) and where != STDOUT:
            kind = AppendedText if run.live else ReplacedText
            self._file = kind(Path(where), lines, run.on_warning)
        else:
            self.stream = sys.stdout if isinstance(where, str | Path) else where
            self._to_stream(lines.head.removeprefix("\ufeff"))

    def write(self, text: str) -> None:
        """Writes whole lines through at once: all of them or none.

        Args:
            text: The lines; none tells that there was something to read, and nothing in it.

        Raises:
            OutputError: It cannot be written.
            BrokenPipeError: Who read standard output has gone.
        """
        self._begun = True
        if self._file is not None:
            self._file.write(text)
        else:
            self._to_stream(text)

    def close(self) -> None:
        """Completes the file; may be called twice. What was never written to leaves the file as it was."""
        if self._file is not None:
            if self._begun:
                self._file.close()
            else:
                self._file.discard()

    def discard(self) -> None:
        """Leaves the file as it was."""
        if self._file is not None:
            self._file.discard()

    def _to_stream(self, text: str) -> None:
        if self.stream is None or not text:
            return
        self._clear()
        try:
            self.stream.write(text)
            self.stream.flush()
        except BrokenPipeError:
            raise  # who reads our output has gone: no fault to report
        except OSError as e:
            raise output_error(Path("standard output"), e) from e


class TextOutput(Output):
    """An output of lines: what it writes to is completed, or left as it was, with it.

    Args:
        where: See `TextOut`.
        run: See `TextOut`.
        lines: See `TextOut`.

    Raises:
        OutputError: It cannot be written to.
    """

    def __init__(self, where: str | Path | TextIO, run: RunInfo, lines: LineFormat) -> None:
        self._out = TextOut(where, run, lines)

    def close(self) -> None:
        """Completes the file; may be called twice."""
        self._out.close()

    def discard(self) -> None:
        """Leaves the file as it was; see `Output.discard`."""
        self._out.discard()
