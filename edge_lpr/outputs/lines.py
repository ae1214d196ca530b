"""Lines to read on a terminal: the command's results where nothing else goes to standard output."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import datetime
from typing import TextIO

from edge_lpr.console.text import clip, columns, is_terminal, pad, paint, printable
from edge_lpr.io.sources import Target
from edge_lpr.outputs._text import TextOut
from edge_lpr.outputs.base import ALONE, OUTPUTS, Output, OutputKind, RunInfo
from edge_lpr.outputs.records import Result
from edge_lpr.pipeline.events import PlateEvent
from edge_lpr.pipeline.settings import ReadSettings
from edge_lpr.pipeline.stream import FrameResult
from edge_lpr.pipeline.wall_clock import utc

__all__ = ["LinesOutput", "line_of"]

_LABEL_COLUMNS = 40
_PLATE_COLUMNS = 9  # seven or eight characters, one of them Chinese
_KIND_COLUMNS = 9
_STATE_COLUMNS = 6


class LinesOutput(Output):
    """One line per result, in columns.

    Args:
        stream: Where to; None is standard output.
        run: The run; its sources' names decide the width of the first column.
    """

    def __init__(self, stream: TextIO | None = None, run: RunInfo = ALONE) -> None:
        self._stream = sys.stdout if stream is None else stream
        self._out = TextOut(self._stream, run)
        self._width = _label_width(run.targets)

    def write(self, frame_result: FrameResult, results: Sequence[Result]) -> None:
        """Prints a line for each result; see `Output.write`."""
        for result in results:
            self._out.write(line_of(result, self._width, self._stream) + "\n")


def line_of(result: Result, width: int, stream: TextIO) -> str:
    """Writes a result as a line: source, time, of a camera the state, plate, kind, scores, reads.

    Args:
        result: The read or track.
        width: Columns of the source's name.
        stream: Where the line goes; decides on colour.
    """
    item = result.item
    name = printable(result.name)
    # A file is told by the end of its path; only a terminal needs it short.
    parts = [pad(clip(name, max(width, 12), tail=True) if is_terminal(stream) else name, width)]
    if isinstance(item, PlateEvent):
        first, last = _clock(item.first_seen, item.first_utc), _clock(item.last_seen, item.last_utc)
        parts.append(f"{first}-{last}")
        if item.first_utc is not None:
            parts.append(pad(item.state, _STATE_COLUMNS))
    elif result.frame is not None and result.frame.time is not None:
        wall = result.frame.wall
        parts.append(_clock(result.frame.time, None if wall is None else utc(wall)))
    lowest = f"min {item.min_score:.2f}"
    # What is not reported by default is worth a second look by who asked for it.
    doubtful = item.min_score < ReadSettings.min_score
    parts += [
        paint(pad(printable(item.text), _PLATE_COLUMNS), "bold", stream),
        pad(item.kind, _KIND_COLUMNS),
        f"{item.score:.2f}",
        paint(lowest, "yellow", stream) if doubtful else lowest,
    ]
    if isinstance(item, PlateEvent):
        parts.append(f"{item.reads} read" + "s" * (item.reads != 1))
    return "  ".join(parts)


def _label_width(targets: Sequence[Target]) -> int:
    names = [n for t in targets for n in ([str(p) for p in t.paths] if t.kind == "images" else [t.label])]
    return min(max((columns(printable(name)) for name in names), default=0), _LABEL_COLUMNS)


def _clock(seconds: float, moment: datetime | None) -> str:
    """Time of day for live sources, else minutes and seconds from the start."""
    if moment is not None:
        return f"{moment.astimezone():%H:%M:%S}"
    tenths = round(seconds * 10)
    hours, minutes, rest = tenths // 36000, tenths // 600 % 60, tenths % 600 / 10
    return f"{hours}:{minutes:02}:{rest:04.1f}" if hours else f"{minutes:02}:{rest:04.1f}"


OUTPUTS.register(
    OutputKind(
        name="lines",
        rank=40,
        open=lambda _, run: LinesOutput(run=run),
        help="a line per vehicle or plate on standard output",
        stdout=True,
    )
)
