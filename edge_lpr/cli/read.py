"""`edge-lpr SOURCE…`: reads plates, one line per vehicle."""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import NoReturn

from edge_lpr.cli.nothing_read import NothingRead
from edge_lpr.cli.options import add_model_options, backend_arguments, model_arguments
from edge_lpr.cli.pace import Pace
from edge_lpr.console.interrupts import Interrupts
from edge_lpr.console.log_level import shows
from edge_lpr.console.progress import Progress
from edge_lpr.console.streams import libraries_apart
from edge_lpr.console.text import is_terminal
from edge_lpr.errors import SettingError, SourceError
from edge_lpr.health.monitor import Monitor
from edge_lpr.health.status import Run
from edge_lpr.health.watchdog import Watchdog, WatchdogSettings
from edge_lpr.io.atomic_io import check_writable
from edge_lpr.io.capture import CaptureOptions
from edge_lpr.io.claims import files_in
from edge_lpr.io.folders import left_out_line
from edge_lpr.io.frames import Source
from edge_lpr.io.recording import RecordingSettings
from edge_lpr.io.references import reference_file
from edge_lpr.io.sources import Target, find_targets, open_source, told_apart
from edge_lpr.outputs import OUTPUTS, STDOUT, RunInfo, RunOutputs
from edge_lpr.pipeline.events import REPORTS
from edge_lpr.pipeline.reader import PlateReader
from edge_lpr.pipeline.reading import read_live
from edge_lpr.pipeline.settings import DetectorSettings, ReadSettings, TrackSettings
from edge_lpr.pipeline.stream import FrameResult, Stream
from edge_lpr.settings import add_options, given

DESCRIPTION = """\
Reads licence plates from images, videos and cameras: one line per vehicle of a video,
one per plate of an image. No download, no configuration: the models are in the package."""

EPILOG = """\
examples:
  edge-lpr street.mp4                            a video; one line per vehicle
  edge-lpr photos/ 'more/*.jpg' --csv plates.csv folders and patterns, into a table
  edge-lpr crops/ --crops-only                   pictures that are each a plate cut out
  edge-lpr 0                                     the first camera
  edge-lpr 'gate=rtsp://admin:${GATE_PASSWORD}@10.0.0.5/1' --jsonl plates.jsonl
  edge-lpr clip.mp4 --save clip-read.mp4 --crops plates/
  edge-lpr clip.mp4 --jsonl - | jq .text         results to another program

sources:
  Several may be given and mixed. Folders are read with their subfolders; what a file is, its
  content says, and what is neither picture nor video is counted. Files are read in order,
  then all cameras and streams at once, each at its newest frame. "N" is camera N.
  "-" is standard input, a picture or video: cat clip.mp4 | edge-lpr -
  Addresses begin with rtsp:// rtmp:// http:// https:// srt:// udp:// rtp:// tcp://; one of
  http that gives a picture at a time is asked again and again (--snapshot-interval).
  A playlist (m3u8, concat) names files of its own folder.
  Text with " ! " is a GStreamer pipeline that ends in appsink, where OpenCV has GStreamer.
  Of an address no more is shown than host and path. NAME=ADDRESS has NAME in all results in
  its place; ${VARIABLE} (in single quotes) and @FILE, a file of addresses, one a line, keep
  a password out of the list of processes.
"""

WHAT_TO_CHANGE = """\
which threshold to change:
  plates are missing            --any-text shows whether they are read at all; --min-score 0.5
                                reports what is less sure; --box-thresh 0.4 finds fainter ones
  small plates are missing      --det-limit-side-len 1280, with --det-limit-type min
  signs are read as plates      --min-score 0.9
  one vehicle gives two events  --max-gap 3
  vehicles are told too late    --events new, --max-delay 0
"""

_RESCUE_SECONDS = 20.0  # what outputs get to be completed in where the models hang


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.description, parser.epilog = DESCRIPTION, f"{EPILOG}\n{WHAT_TO_CHANGE}"
    parser.usage = "edge-lpr SOURCE [SOURCE ...] [options]\n       edge-lpr COMMAND [options]"
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="see below")
    add_model_options(parser)
    add = parser.add_argument_group("what is reported").add_argument
    add("--every-frame", action="store_true", help="the reads of each frame, not fused to one per vehicle")
    add(
        "--events",
        choices=tuple(REPORTS),
        help="end: one a vehicle, when it is gone; new: one a vehicle, as soon as it is known; all: both, "
        "and each change of its text (default: end for files, all for cameras and streams)",
    )
    reported = ("any_text", "min_score", "format_prior", "candidates")
    add_options(add, ReadSettings, reported)
    add = parser.add_argument_group("how pictures and frames are looked at").add_argument
    add_options(add, ReadSettings, [name for name in ReadSettings.names() if name not in reported])
    add_options(add, CaptureOptions, ("stride", "max_pixels"))
    add = parser.add_argument_group("outputs").add_argument
    for kind in OUTPUTS:
        if kind.flag:
            add(kind.flag, dest=kind.name, metavar=kind.metavar, help=kind.help)
    add_options(add, RecordingSettings)
    add(
        "--quiet",
        action="store_true",
        help="no lines of results, no progress and no notes; errors are told, and all is read",
    )
    add = parser.add_argument_group("cameras and streams").add_argument
    add_options(
        add, CaptureOptions, ("timeout", "reconnect", "max_pause", "snapshot_interval", "any_certificate")
    )
    add = parser.add_argument_group("running for years").add_argument
    add("--status", metavar="FILE", help="how the run is, as JSON, written anew each second")
    add_options(add, WatchdogSettings)
    add = parser.add_argument_group("tracking in videos and streams").add_argument
    add_options(add, TrackSettings)
    add = parser.add_argument_group("detection, by PP-OCR's names (default: the bundle's)").add_argument
    add_options(add, DetectorSettings, show_default=False)


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    with libraries_apart(shown=shows("debug")), Interrupts() as interrupts:
        return _Run(args, interrupts).run()


class _Run:
    """One run of the command."""

    def __init__(self, args: argparse.Namespace, interrupts: Interrupts) -> None:
        self.args = args
        self.interrupts = interrupts
        self.options = CaptureOptions(**given(args, CaptureOptions))
        self.progress: Progress | None = None
        self.bad_source = False
        self.left_out: Counter[str] = Counter()
        self.streams: Sequence[Stream] = ()
        self.writing = threading.Lock()
        self.tells = is_terminal(sys.stderr) and not args.quiet and shows("info")

    def run(self) -> int:
        if self.args.every_frame and self.args.events:
            raise SettingError("--every-frame gives reads and no events; leave it out, or --events")
        targets = self.find(self.args.sources)
        if not targets:
            return 2
        # The reader first: where it cannot be opened, no output has touched what is there. Then the outputs,
        # which see that none is written over an input or another one, the status among them.
        with (
            self.open_reader() as reader,
            RunOutputs(_requested(self.args), self.run_info(targets, reader), self.say) as outputs,
            self.monitor(reader) as monitor,
        ):
            self.outputs, self.reader = outputs, reader
            with outputs:  # complete before it is told how the run has ended
                if self.tells:
                    self.say(reader.description, "info")
                monitor.ready()
                for target in targets:
                    if not target.live and outputs.any_left:
                        with self.apart():
                            self.read_target(target)
                self.read_cameras([target for target in targets if target.live])
            monitor.exit_code = 1 if outputs.failed else 2 if self.bad_source else 0
        return monitor.exit_code

    def monitor(self, reader: PlateReader) -> Monitor:
        self.health = Run(time.time(), reader.description, reader.activity, self.left_out)
        limit = WatchdogSettings(**given(self.args, WatchdogSettings)).watchdog
        watchdog = Watchdog([reader.activity], limit, self.say)
        return Monitor(self.health, watchdog, self.say, self.give_up, self.args.status)

    def give_up(self, who: str) -> NoReturn:
        """Ends the process while its main thread hangs where nothing can reach it."""
        self.say(f"{who} do not answer, the run ends; what was read before is complete", "error")
        rescue = threading.Thread(target=self.complete, daemon=True)
        rescue.start()
        rescue.join(_RESCUE_SECONDS)
        os._exit(1)

    def complete(self) -> None:
        """Completes the outputs from another thread than the one that reads, which then writes no more."""
        self.writing.acquire()
        with suppress(BrokenPipeError):
            for stream in self.streams:
                self.outputs.write(stream.flush())
            self.outputs.close()

    def find(self, sources: Sequence[str]) -> list[Target]:
        targets: list[Target] = []
        for source in sources:
            try:
                found = find_targets(source, self.fail, self.leave_out)
            except SourceError as e:
                self.fail(str(e))
                continue
            for target in found:
                targets = _joined(targets, target)
        return told_apart(targets)

    def leave_out(self, folder: str, left_out: Counter[str]) -> None:
        self.left_out.update(left_out)
        if not self.args.quiet:
            self.say(f"{folder}: {left_out_line(left_out)}", "info")

    def open_reader(self) -> PlateReader:
        args = self.args
        settings = {
            n: v
            for kind in (DetectorSettings, ReadSettings, TrackSettings)
            for n, v in given(args, kind).items()
        }
        return PlateReader(**model_arguments(args), settings=settings)

    def run_info(self, targets: Sequence[Target], reader: PlateReader) -> RunInfo:
        engines = files_in("--engines", backend_arguments(self.args).get("engines"))
        lists = [("SOURCE", reference_file(source)) for source in self.args.sources]
        info = RunInfo(
            targets,
            live=any(target.live for target in targets),
            clear=self.clear,
            reads=[
                *lists,
                ("--verify-key", self.args.verify_key),
                *chain(files_in("--bundle", reader.bundle.path), engines),
            ],
            recording=RecordingSettings(**given(self.args, RecordingSettings)),
        )
        info = replace(info, claims=info.own_claims())
        if self.args.status is not None:
            status = Path(self.args.status)
            if self.args.status == STDOUT or (status.exists() and not status.is_file()):
                raise SettingError(f"--status {status}: expected a file, which is replaced each second")
            check_writable(status)
            info.own_claims().claim(self.args.status, "--status")
        return info

    def read_target(self, target: Target) -> None:
        with open_source(target, self.options, self.say) as source:
            self.read_file(source)

    def read_file(self, source: Source) -> None:
        stream = self.stream(source)
        unit = "images" if source.is_image else "frames"
        with Progress(source.label, source.total, unit, quiet=self.args.quiet) as self.progress:
            self.write_all(self.paced(stream), [stream], self.progress)
            self.progress.end(source.state if self.outputs.any_left else "stopped")
        self.bad_source |= source.state == "ends early" or (source.is_image and source.skipped > 0)

    def paced(self, stream: Stream) -> Iterator[FrameResult]:
        pace = Pace(stream.source, self.options.stride)
        for frame_result in stream:
            yield frame_result
            line = pace.note(frame_result.frame) if frame_result.frame is not None else None
            if line and self.tells:
                self.say(line, "info")

    def read_cameras(self, targets: Sequence[Target]) -> None:
        sources: list[Source] = []
        try:
            for target in targets:
                with self.apart():
                    sources.append(open_source(target, self.options, self.say))
            self.read_streams(sources)
            self.bad_source |= any(source.state in ("source lost", "ends early") for source in sources)
        finally:
            for source in sources:
                source.stop()
            for source in sources:
                source.close()

    @contextmanager
    def apart(self) -> Iterator[None]:
        """What is wrong with one source does not end the run of the others."""
        try:
            yield
        except SourceError as e:
            self.fail(str(e))
        finally:
            self.progress = None

    def stream(self, source: Source) -> Stream:
        return Stream(self.reader, source, track=not self.args.every_frame, report=self.args.events)

    def read_streams(self, sources: Sequence[Source]) -> None:
        if not sources or not self.outputs.any_left:
            return
        streams = [self.stream(source) for source in sources]
        label = sources[0].label if len(sources) == 1 else f"{len(sources)} sources"
        with Progress(label, quiet=self.args.quiet) as self.progress:
            self.write_all(read_live(streams), streams, self.progress)
            lost = any(source.state == "source lost" for source in sources)
            self.progress.end("source lost" if lost else "done")
        self.progress = None

    def write_all(
        self, frame_results: Iterable[FrameResult], streams: Sequence[Stream], progress: Progress
    ) -> None:
        """Writes what streams give, and however that ends, the vehicles that are still in view then."""
        before = self.outputs.count
        live = [stream.source for stream in streams if stream.source.live]
        self.streams, self.health.sources = streams, [stream.source for stream in streams]
        pictures = NothingRead(self.reader.settings) if streams[0].source.is_image else None
        try:
            for frame_result in frame_results:
                self.write(frame_result)
                if pictures is not None and (hint := pictures.hint(frame_result)) and not self.args.quiet:
                    self.say(hint, "info")
                n = int(frame_result.frame is not None)
                self.health.frames += n
                shown = {"dropped": sum(source.dropped for source in live)} if live else {}
                progress.update(n, plates=self.outputs.count - before, **shown)
                if not self.outputs.any_left:
                    break
        finally:
            with self.interrupts.held():
                for stream in streams:
                    self.write(stream.flush())
                progress.update(0, plates=self.outputs.count - before)

    def write(self, frame_result: FrameResult) -> None:
        with self.interrupts.held(), self.writing:
            self.outputs.write(frame_result)
            self.health.results, self.health.outputs_failed = self.outputs.count, self.outputs.failed

    def fail(self, line: str) -> None:
        self.bad_source = True
        self.say(line, "error")

    def say(self, line: str, level: str = "warning") -> None:
        if not shows(level):
            return
        if self.progress is not None:
            self.progress.note(f"edge-lpr: {line}")
        else:
            Progress("").note(f"edge-lpr: {line}")

    def clear(self) -> None:
        if self.progress is not None:
            self.progress.clear()


_STDOUT_NAMES = ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")


def _requested(args: argparse.Namespace) -> dict[str, str]:
    """Returns the outputs asked for by option; and lines, where nothing else goes to standard output."""
    found: dict[str, str] = {
        # Standard output by its names in the file system is standard output: libraries are kept off it.
        kind.name: STDOUT if kind.stdout and value in _STDOUT_NAMES else value
        for kind in OUTPUTS
        if kind.flag and (value := getattr(args, kind.name))
    }
    return found if args.quiet or STDOUT in found.values() else {**found, "lines": STDOUT}


def _joined(targets: list[Target], target: Target) -> list[Target]:
    """Joins images named one after the other, as a shell's *.jpg names them, to one source."""
    last = targets[-1] if targets else None
    alike = last is not None and last.kind == target.kind == "images" and last.root == target.root is None
    if last is None or not alike or last.address or target.address:
        return [*targets, target]
    paths = (*last.paths, *target.paths)
    return [*targets[:-1], replace(last, label=f"{len(paths)} images", paths=paths)]
