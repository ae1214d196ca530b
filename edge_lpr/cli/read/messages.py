"""What a run tells on standard error while it goes on, a progress line among it."""

from __future__ import annotations

import sys

from edge_lpr.console.log_level import shows
from edge_lpr.console.progress import Progress
from edge_lpr.console.text import is_terminal

__all__ = ["Messages"]


class Messages:
    """Lines about the run, each with the command's name before it.

    One rule holds for all: `--quiet` leaves out what is good to know, and tells what is wrong.

    Args:
        quiet: Whether notes and the progress are left out.
    """

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._progress: Progress | None = None

    @property
    def to_a_person(self) -> bool:
        """Whether somebody sees them at once, and wants to know more than what is wrong."""
        return is_terminal(sys.stderr) and not self._quiet and shows("info")

    def progress(self, label: str, total: int | None = None, unit: str = "frames") -> Progress:
        """Returns the progress of what is begun now; lines are printed above it."""
        self._progress = Progress(label, total, unit, quiet=self._quiet)
        return self._progress

    def note(self, line: str) -> None:
        """Tells what is good to know."""
        if not self._quiet:
            self._say(line, "info")

    def warn(self, line: str) -> None:
        """Tells what went wrong and does not end the run: a source that was lost, or is there again."""
        self._say(line, "warning")

    def fail(self, line: str) -> None:
        """Tells what is wrong with the run itself or with one of its sources."""
        self._say(line, "error")

    def clear(self) -> None:
        """Takes the progress line away, before something else goes to the terminal."""
        if self._progress is not None:
            self._progress.clear()

    def _say(self, line: str, level: str) -> None:
        if shows(level):
            (self._progress or Progress("")).note(f"edge-lpr: {line}")
