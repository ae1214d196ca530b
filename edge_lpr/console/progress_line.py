"""The line of a `Progress` while it runs, drawn by rich.

A module of its own: a command that is over before a line is drawn never imports rich.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TextIO

from rich.console import Console
from rich.progress import Progress, ProgressColumn, Task
from rich.text import Text

from edge_lpr.console.text import clip, columns, duration, has_color, number
from edge_lpr.counting import counted

_RATE_SECONDS = 5.0  # the rate shown is that of about the last seconds
_LABEL_COLUMNS = 12  # a label that is too long keeps so many


class ProgressLine:
    """One line that is drawn over itself.

    Args:
        label: What is being worked on, without control characters.
        total: How many units there are, where known.
        unit: What is counted, in the plural.
        count: How many are done already.
        began: When it began, by `time.monotonic`.
        stream: The terminal.
    """

    def __init__(
        self, label: str, total: int | None, unit: str, count: int, began: float, stream: TextIO
    ) -> None:
        self._console = Console(
            file=stream,
            force_terminal=True,
            force_interactive=True,
            force_jupyter=False,
            color_system="standard" if has_color(stream) else None,
        )
        # No thread that redraws: commands fork, and print to stdout in between.
        self._progress = Progress(
            _Line(unit, self._console),
            console=self._console,
            auto_refresh=False,
            speed_estimate_period=_RATE_SECONDS,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            get_time=time.monotonic,
        )
        self._id = self._progress.add_task(label, total=total or None, completed=count)
        self._task = self._progress.tasks[0]
        self._task.start_time = began

    def advance(self, n: int) -> None:
        """Counts n units."""
        self._progress.update(self._id, advance=n)

    def draw(self, fields: Mapping[str, object]) -> None:
        """Draws the line anew, with fields behind."""
        self._task.fields.update(fields)  # as arguments of rich's `update` some names would mean something
        if self._progress.live.is_started:
            self._progress.refresh()
            return
        self._progress.start()
        # rich hides the cursor; a process that is killed would leave it so.
        self._console.show_cursor(True)

    def clear(self) -> None:
        """Takes the line away; `draw` brings it back."""
        self._progress.stop()


class _Line(ProgressColumn):
    """The whole line as one column: of several, a narrow terminal would cut each short."""

    def __init__(self, unit: str, console: Console) -> None:
        super().__init__()
        self._unit = unit
        self._console = console

    def render(self, task: Task) -> Text:
        elapsed = task.elapsed or 0.0
        # Of fewer than two updates within the last seconds rich knows no rate.
        rate = task.speed or task.completed / max(elapsed, 1e-6)
        of = "" if task.total is None else f"/{task.total:.0f}"
        parts = [counted(f"{task.completed:.0f}{of}", self._unit), f"{number(rate)}/s"]
        if task.remaining is not None and rate > 0:
            parts.insert(0, f"{task.percentage:.0f}%")
            parts.append(f"{duration(max(0.0, task.remaining) / rate)} left")
        else:
            parts.append(duration(elapsed))
        rest = "  ".join(["", *parts, *(counted(value, name) for name, value in task.fields.items())])
        # A character in the last column makes some terminals go on to the next line.
        width = self._console.width - 1
        label = clip(task.description, max(_LABEL_COLUMNS, width - columns(rest)), tail=True)
        return Text(clip(label + rest, width), style="dim", no_wrap=True, overflow="crop")
