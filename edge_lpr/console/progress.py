"""A progress line on the terminal: what, how far, how fast, how long still, and how it ended."""

from __future__ import annotations

import os
import re
import shutil
import sys
import time
import unicodedata
from collections import deque
from types import TracebackType
from typing import TextIO

QUIET_SECONDS = 2.0  # what is over sooner needs no progress
REDRAW_SECONDS = 0.1
_RATE_SECONDS = 5.0  # the rate shown is that of about the last seconds
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


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
        self._draws = not quiet and is_terminal(self._stream)
        self._fields: dict[str, object] = {}
        self._began = self._drawn_at = time.monotonic()
        self._marks = deque([(self._began, 0)])
        self._visible = False
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
        now = time.monotonic()
        if not self._draws or now - self._began < QUIET_SECONDS or now - self._drawn_at < REDRAW_SECONDS:
            return
        self._draw(now)

    def note(self, text: str) -> None:
        """Prints a line of its own on stderr, on a terminal or not."""
        self.clear()
        print(printable(text), file=self._stream, flush=True)

    def clear(self) -> None:
        """Takes the line away, so that something else can be printed; the next update draws it again."""
        if self._visible:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._visible = False

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
        rate = (
            f" ({_number(self.count / seconds)} {self.unit}/s)" if self.count > 1 and seconds > 0.05 else ""
        )
        parts = [f"{state}, {self.count}{of} {self._unit()} in {duration(seconds)}{rate}", *self._shown()]
        color = "32" if state == "done" else "33"
        line = f"{self.label}: {', '.join(parts)}"
        print(paint(line, color, self._stream), file=self._stream, flush=True)

    def _draw(self, now: float) -> None:
        while len(self._marks) > 1 and now - self._marks[0][0] > _RATE_SECONDS:
            self._marks.popleft()
        rate = (self.count - self._marks[0][1]) / max(now - self._marks[0][0], 1e-6)
        self._marks.append((now, self.count))
        of = f"/{self.total}" if self.total else ""
        parts = [f"{self.count}{of} {self.unit}", f"{_number(rate)}/s"]
        if self.total and rate > 0:
            share = min(1.0, self.count / self.total)
            parts.insert(0, f"{share:.0%}")
            parts.append(f"{duration(max(0, self.total - self.count) / rate)} left")
        else:
            parts.append(duration(now - self._began))
        line = f"{self.label}  " + "  ".join([*parts, *self._shown()])
        width = shutil.get_terminal_size().columns - 1
        self._stream.write("\r" + paint(clip(line, width), "2", self._stream) + "\x1b[K")
        self._stream.flush()
        self._visible, self._drawn_at = True, now

    def _shown(self) -> list[str]:
        return [
            f"{value} {name[:-1] if value == 1 and name.endswith('s') else name}".strip()
            for name, value in self._fields.items()
        ]

    def _unit(self) -> str:
        return self.unit[:-1] if self.count == 1 and self.unit.endswith("s") else self.unit


def is_terminal(stream: TextIO) -> bool:
    """Tells whether a stream is a terminal that can redraw a line."""
    try:
        return stream.isatty() and os.environ.get("TERM") != "dumb"
    except ValueError:  # closed
        return False


def paint(text: str, code: str, stream: TextIO) -> str:
    """Colours a text by an ANSI SGR number, where the stream is a terminal and NO_COLOR is not set."""
    return f"\x1b[{code}m{text}\x1b[0m" if is_terminal(stream) and not os.environ.get("NO_COLOR") else text


def printable(text: str) -> str:
    """Replaces what would drive the terminal: names of files come from others."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def columns(text: str) -> int:
    """Counts the terminal columns of a text; Chinese characters take two."""
    return sum(0 if unicodedata.combining(c) else 1 + (unicodedata.east_asian_width(c) in "WF") for c in text)


def clip(text: str, width: int, tail: bool = False) -> str:
    """Cuts a text to so many columns, with "…" at the cut; keeps its head, or its tail."""
    if columns(text) <= width:
        return text
    kept, used = "", 1
    for c in reversed(text) if tail else text:
        used += columns(c)
        if used > width:
            break
        kept += c
    return "…" + kept[::-1] if tail else kept + "…"


def pad(text: str, width: int) -> str:
    """Fills a text with blanks to so many columns."""
    return text + " " * max(0, width - columns(text))


def duration(seconds: float) -> str:
    """Writes a duration: "8.5 s", "03:20", "2:03:20"."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"


def _number(value: float) -> str:
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"
