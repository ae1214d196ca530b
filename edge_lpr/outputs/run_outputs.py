"""The sinks of one run, kept apart: one that fails is closed and named, the others go on."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TextIO

from edge_lpr.console.text import clip, columns, is_terminal, pad, paint, printable
from edge_lpr.errors import OutputError, SettingError
from edge_lpr.io.atomic_io import TextFile, output_error
from edge_lpr.io.sources import Target
from edge_lpr.outputs.records import Result, results, to_record
from edge_lpr.outputs.sinks import CropSink, CsvSink, JsonlSink, RecordSink, SaveSink
from edge_lpr.pipeline.stream import FrameResult
from edge_lpr.pipeline.tracker import PlateEvent
from edge_lpr.plates import PlateRead

_LABEL_COLUMNS = 40
_PLATE_COLUMNS = 9  # seven or eight characters, one of them Chinese
_KIND_COLUMNS = 9
_DOUBTFUL = 0.5


class Outputs:
    """Everything that a run writes, by its options.

    Args:
        args: The options: jsonl, csv, save, crops, quiet.
        targets: All sources of the run.
        report: Called with one line for each output that fails.
        clear: Called before a line goes to stdout, to take a progress line away.

    Raises:
        SettingError: Options that contradict each other.
        OutputError: An output cannot be written to; found before anything is read.
    """

    def __init__(
        self,
        args: argparse.Namespace,
        targets: Sequence[Target],
        report: Callable[[str], None],
        clear: Callable[[], None],
    ) -> None:
        self.failed = False
        self.count = 0
        self._report = report
        self._records: list[RecordSink] = []
        self._crops: CropSink | None = None
        self._save: SaveSink | None = None
        self._lines: Lines | None = None
        piped = [name for name in ("jsonl", "csv") if getattr(args, name) == "-"]
        if len(piped) > 1 or (args.jsonl and args.jsonl == args.csv):
            raise SettingError(
                "--jsonl and --csv are the same; give each its own file, or '-' to one of them"
            )
        live = any(target.live for target in targets)
        try:
            if args.jsonl:
                self._records.append(JsonlSink(_open(args.jsonl, live, bom=False)))
            if args.csv:
                out = _open(args.csv, live, bom=True)
                self._records.append(CsvSink(out, header=not isinstance(out, TextFile) or out.empty))
            if args.crops:
                self._crops = CropSink(Path(args.crops))
            if args.save:
                self._save = SaveSink(Path(args.save), targets)
        except BaseException:
            self.close()
            raise
        if not piped and not args.quiet:
            self._lines = Lines(targets, clear)

    def __enter__(self) -> Outputs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def any_left(self) -> bool:
        """Whether anything still takes results."""
        return bool(self._records or self._crops or self._save or self._lines)

    def write(self, step: FrameResult, tracked: bool) -> None:
        """Writes one step everywhere.

        Raises:
            BrokenPipeError: Who read standard output has gone; raised once, after all else is written.
        """
        broken: BrokenPipeError | None = None
        for result in results(step, tracked):
            self.count += 1
            crop = None
            if self._crops is not None:
                try:
                    crop = self._crops.write(result)
                except OutputError as e:
                    self._fail(e)
                    self._crops = None
            record = to_record(result, crop)
            for sink in list(self._records):
                try:
                    sink.write(record)
                except BrokenPipeError as e:
                    broken = e
                    self._records.remove(sink)
                except OutputError as e:
                    self._fail(e)
                    self._records.remove(sink)
                    self._close(sink)
            if self._lines is not None:
                try:
                    self._lines.write(result)
                except BrokenPipeError as e:
                    broken = e
                    self._lines = None
                except OutputError as e:
                    self._fail(e)
                    self._lines = None
        if self._save is not None:
            try:
                self._save.write(step)
            except OutputError as e:
                self._fail(e)
                self._close(self._save)
                self._save = None
        if broken is not None:
            raise broken

    def close(self) -> None:
        """Completes all outputs; may be called twice."""
        while self._records:
            self._close(self._records.pop())
        if self._save is not None:
            self._close(self._save)
            self._save = None

    def _close(self, sink: RecordSink | SaveSink) -> None:
        try:
            sink.close()
        except OutputError as e:
            self._fail(e)

    def _fail(self, error: OutputError) -> None:
        self.failed = True
        self._report(str(error))


class Lines:
    """One line per result on stdout, in columns.

    Args:
        targets: All sources, for the width of the first column.
        clear: Called before each line.
    """

    def __init__(self, targets: Sequence[Target], clear: Callable[[], None]) -> None:
        names = [n for t in targets for n in ([str(p) for p in t.paths] if t.kind == "images" else [t.label])]
        self._width = min(max((columns(printable(name)) for name in names), default=0), _LABEL_COLUMNS)
        self._clear = clear

    def write(self, result: Result) -> None:
        """Prints one line.

        Raises:
            OutputError: Standard output cannot be written to.
            BrokenPipeError: Who read it has gone.
        """
        self._clear()
        try:
            print(line_of(result, self._width, sys.stdout), flush=True)
        except BrokenPipeError:
            raise
        except OSError as e:
            raise output_error(Path("standard output"), e) from e


def line_of(result: Result, width: int, stream: TextIO) -> str:
    """Writes a result as a line: source, time, plate, kind, scores, reads.

    Args:
        result: The read or track.
        width: Columns of the source's name.
        stream: Where the line goes; decides on colour.
    """
    item, started = result.item, result.source.started
    name = printable(result.name)
    # A file is told by the end of its path; only a terminal needs it short.
    parts = [pad(clip(name, max(width, 12), tail=True) if is_terminal(stream) else name, width)]
    if isinstance(item, PlateEvent):
        parts.append(f"{_clock(item.first_seen, started)}-{_clock(item.last_seen, started)}")
    elif result.frame is not None and result.frame.time is not None:
        parts.append(_clock(result.frame.time, started))
    doubtful = item.min_score < _DOUBTFUL
    parts += [
        paint(pad(printable(item.text), _PLATE_COLUMNS), "bold", stream),
        pad(item.kind, _KIND_COLUMNS),
        f"{item.score:.2f}",
        paint(f"min {item.min_score:.2f}", "yellow", stream) if doubtful else f"min {item.min_score:.2f}",
    ]
    if not isinstance(item, PlateRead):
        parts.append(f"{item.reads} read" + "s" * (item.reads != 1))
    return "  ".join(parts)


def _clock(seconds: float, started: float | None) -> str:
    """Time of day for live sources, else minutes and seconds from the start."""
    if started is not None:
        return f"{datetime.fromtimestamp(started + seconds).astimezone():%H:%M:%S}"
    tenths = round(seconds * 10)
    hours, minutes, rest = tenths // 36000, tenths // 600 % 60, tenths % 600 / 10
    return f"{hours}:{minutes:02}:{rest:04.1f}" if hours else f"{minutes:02}:{rest:04.1f}"


def _open(name: str, append: bool, bom: bool) -> TextFile | TextIO:
    return sys.stdout if name == "-" else TextFile(Path(name), append, bom)
