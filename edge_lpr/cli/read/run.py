"""One run of the command: its sources read one after the other, and its cameras all at once."""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from edge_lpr.cli.options import model_arguments
from edge_lpr.cli.read.messages import Messages
from edge_lpr.cli.read.nothing_read import NothingRead
from edge_lpr.cli.read.outputs import requested_outputs, run_info
from edge_lpr.cli.read.pace import Pace
from edge_lpr.cli.read.targets import find_all
from edge_lpr.cli.read.writing import ResultWriter
from edge_lpr.console.interrupts import Interrupts
from edge_lpr.console.progress import Progress
from edge_lpr.counting import counted
from edge_lpr.errors import SettingError, SourceError
from edge_lpr.health.monitor import Monitor
from edge_lpr.health.status import Run
from edge_lpr.health.watchdog import Watchdog, WatchdogSettings
from edge_lpr.io.capture_options import CaptureOptions
from edge_lpr.io.folders import left_out_line
from edge_lpr.io.frames import Source
from edge_lpr.io.sources import Target, open_source
from edge_lpr.outputs import RunOutputs
from edge_lpr.pipeline.reader import PlateReader
from edge_lpr.pipeline.reading import read_live
from edge_lpr.pipeline.settings import DetectorSettings, GateSettings, ReadSettings, TrackSettings
from edge_lpr.pipeline.stream import FrameResult, Stream
from edge_lpr.settings import given

__all__ = ["ReadRun"]


class ReadRun:
    """One run of the command.

    Args:
        args: Its options.
        interrupts: What ends it.
    """

    def __init__(self, args: argparse.Namespace, interrupts: Interrupts) -> None:
        self._args = args
        self._interrupts = interrupts
        self._options = CaptureOptions(**given(args, CaptureOptions))
        self._messages = Messages(args.quiet)
        self._bad_source = False
        self._left_out: Counter[str] = Counter()

    def run(self) -> int:
        """Reads everything; returns the exit code."""
        if self._args.every_frame and self._args.events:
            raise SettingError("--every-frame gives reads and no events; leave it out, or --events")
        if self._args.every_frame and self._args.gate == "auto":
            raise SettingError(
                "--every-frame looks at all of each frame, and --gate auto at parts; leave one out"
            )
        targets = find_all(self._args.sources, self._fail, self._leave_out)
        if not targets:
            return 2
        # The reader first: where it cannot be opened, no output has touched what is there. Then the outputs,
        # which see that none is written over an input or another one, the status among them.
        with (
            self._open_reader() as reader,
            RunOutputs(
                requested_outputs(self._args),
                run_info(self._args, targets, reader, self._messages),
                self._messages.fail,
            ) as outputs,
        ):
            health = Run(time.time(), reader.description, reader.activity, self._left_out)
            self._outputs, self._reader, self._health = outputs, reader, health
            self._writer = ResultWriter(outputs, self._interrupts, health)
            with self._monitor() as monitor:
                with outputs:  # complete before it is told how the run has ended
                    if self._messages.to_a_person:
                        self._messages.note(reader.description)
                    monitor.ready()
                    for target in targets:
                        if not target.live and outputs.any_left:
                            with self._apart():
                                self._read_file(target)
                    self._read_cameras([target for target in targets if target.live])
                monitor.exit_code = 1 if outputs.failed else 2 if self._bad_source else 0
        return monitor.exit_code

    def _open_reader(self) -> PlateReader:
        settings = {
            name: value
            for kind in (DetectorSettings, ReadSettings, TrackSettings, GateSettings)
            for name, value in given(self._args, kind).items()
        }
        return PlateReader(**model_arguments(self._args), settings=settings)

    def _monitor(self) -> Monitor:
        limit = WatchdogSettings(**given(self._args, WatchdogSettings)).watchdog
        watchdog = Watchdog([self._reader.activity], limit, self._messages.warn)
        return Monitor(self._health, watchdog, self._messages.warn, self._give_up, self._args.status)

    def _give_up(self, who: str) -> NoReturn:
        self._messages.fail(f"{who} do not answer, the run ends; what was read before is complete")
        self._writer.give_up()

    def _fail(self, line: str) -> None:
        self._bad_source = True
        self._messages.fail(line)

    def _leave_out(self, folder: str, left_out: Counter[str]) -> None:
        self._left_out.update(left_out)
        self._messages.note(f"{folder}: {left_out_line(left_out)}")

    @contextmanager
    def _apart(self) -> Iterator[None]:
        """What is wrong with one source does not end the run of the others."""
        try:
            yield
        except SourceError as e:
            self._fail(str(e))

    def _open(self, target: Target) -> Source:
        return open_source(target, self._options, self._messages.warn, self._messages.note)

    def _stream(self, source: Source) -> Stream:
        return Stream(self._reader, source, track=not self._args.every_frame, report=self._args.events)

    def _read_file(self, target: Target) -> None:
        with self._open(target) as source:
            stream = self._stream(source)
            unit = "images" if source.is_image else "frames"
            with self._messages.progress(source.label, source.total, unit) as progress:
                self._write_all(self._paced(stream), [stream], progress)
                progress.end(source.state if self._outputs.any_left else "stopped")
            self._bad_source |= source.state == "ends early" or (source.is_image and source.skipped > 0)

    def _paced(self, stream: Stream) -> Iterator[FrameResult]:
        pace = Pace(stream.source, self._options.stride)
        for frame_result in stream:
            yield frame_result
            line = pace.note(frame_result.frame) if frame_result.frame is not None else None
            if line and self._messages.to_a_person:
                self._messages.note(line)

    def _read_cameras(self, targets: Sequence[Target]) -> None:
        sources: list[Source] = []
        try:
            for target in targets:
                with self._apart():
                    sources.append(self._open(target))
            self._read_live(sources)
            self._bad_source |= any(source.state in ("source lost", "ends early") for source in sources)
        finally:
            for source in sources:
                source.stop()
            for source in sources:
                source.close()

    def _read_live(self, sources: Sequence[Source]) -> None:
        if not sources or not self._outputs.any_left:
            return
        streams = [self._stream(source) for source in sources]
        label = sources[0].label if len(sources) == 1 else counted(len(sources), "sources")
        with self._messages.progress(label) as progress:
            self._write_all(read_live(streams), streams, progress)
            lost = any(source.state == "source lost" for source in sources)
            progress.end("source lost" if lost else "done")

    def _write_all(
        self, frame_results: Iterable[FrameResult], streams: Sequence[Stream], progress: Progress
    ) -> None:
        """Writes what streams give, and however that ends, the vehicles that are still in view then."""
        before = self._outputs.count
        live = [stream.source for stream in streams if stream.source.live]
        pictures = NothingRead(self._reader.settings) if streams[0].source.is_image else None
        self._writer.begin(streams)
        try:
            for frame_result in frame_results:
                self._writer.write(frame_result)
                if frame_result.look is not None and frame_result.frame is not None:
                    frame = frame_result.frame
                    self._messages.detail(f"{frame.name}: frame {frame.index}: {frame_result.look}")
                if pictures is not None and (hint := pictures.hint(frame_result)):
                    self._messages.note(hint)
                n = int(frame_result.frame is not None)
                self._health.frames += n
                shown = {"dropped": sum(source.dropped for source in live)} if live else {}
                progress.update(n, plates=self._outputs.count - before, **shown)
                if not self._outputs.any_left:
                    break
        finally:
            with self._interrupts.held():
                self._writer.flush()
                progress.update(0, plates=self._outputs.count - before)
