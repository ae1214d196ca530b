"""A progress line on the terminal: what, how far, how fast, how long still, and how it ended.

rich draws it (`progress_line`). What is decided here: nothing is drawn in the first seconds nor into a pipe,
and notes and the end stay on the screen.
"""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from edge_lpr.console.log_level import shows
from edge_lpr.console.text import duration, is_terminal, number, paint, printable
from edge_lpr.counting import counted

if TYPE_CHECKING:
    from edge_lpr.console.progress_line import ProgressLine

QUIET_SECONDS = 2.0  # what is over sooner needs no progress
REDRAW_SECONDS = 0.1


class Progress:
    """Draws one line on stderr, and only where that is a terminal; piped, it says nothing but its notes.

    Use it in a `with`: it ends as "done", as "interrupted" when Ctrl-C leaves the block, and as "failed" when
    another error does, unless `end` named another state.

    Args:
        label: What is being worked on.
        total: How many units there are, where known.
        unit: What is counted, in the plural.
        quiet: Draw nothing at all, notes excepted.
        stream: Where to draw; None is stderr.
    """

    def __init__(
        self,
        label: str,
        total: int | None = None,
        unit: str = "frames",
        *,
        quiet: bool = False,
        stream: TextIO | None = None,
    ) -> None:
        self.label = printable(label)
        self.total = total
        self.unit = unit
        self.count = 0
        self._stream = stream or sys.stderr
        self._draws = not quiet and shows("info") and is_terminal(self._stream)
        self._fields: dict[str, object] = {}
        self._began = self._drawn_at = time.monotonic()
        self._line: ProgressLine | None = None
        self._state = ""

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._state:
            interrupted = kind is not None and issubclass(kind, KeyboardInterrupt)
            self.end("interrupted" if interrupted else "done" if kind is None else "failed")

    def update(self, n: int = 1, **fields: object) -> None:
        """Counts n units; `fields` are shown behind, the name as written: `plates=3` gives "3 plates"."""
        self.count += n
        self._fields.update(fields)
        if self._line is not None:
            self._line.advance(n)
        now = time.monotonic()
        if not self._draws or now - self._began < QUIET_SECONDS or now - self._drawn_at < REDRAW_SECONDS:
            return
        if self._line is None:
            from edge_lpr.console.progress_line import ProgressLine

            self._line = ProgressLine(
                self.label, self.total, self.unit, self.count, self._began, self._stream
            )
        self._line.draw(self._fields)
        self._drawn_at = now

    def note(self, text: str) -> None:
        """Prints a line of its own on stderr, on a terminal or not."""
        self.clear()
        print(printable(text), file=self._stream, flush=True)

    def clear(self) -> None:
        """Takes the line away, so that something else can be printed; the next update draws it again."""
        if self._line is not None:
            self._line.clear()

    def end(self, state: str) -> None:
        """Prints the end state ("done", "interrupted", "source lost") with totals, once."""
        if self._state:
            return
        self._state = state
        self.clear()
        if not self._draws:
            return
        seconds = time.monotonic() - self._began
        of = f" of {self.total}" if self.total and self.count < self.total else ""
        rate = f" ({number(self.count / seconds)} {self.unit}/s)" if self.count > 1 and seconds > 0.05 else ""
        done = f"{state}, {counted(f'{self.count}{of}', self.unit)} in {duration(seconds)}{rate}"
        parts = [done, *(counted(value, name) for name, value in self._fields.items())]
        line = paint(
            f"{self.label}: {', '.join(parts)}", "green" if state == "done" else "yellow", self._stream
        )
        print(line, file=self._stream, flush=True)
