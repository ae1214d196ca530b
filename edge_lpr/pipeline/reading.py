"""Reading sources: several live ones at once, or everything that one source names."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from edge_lpr.errors import SourceError
from edge_lpr.geometry import crop_quad
from edge_lpr.io.capture_options import CaptureOptions
from edge_lpr.io.frames import Frame, Source
from edge_lpr.io.live_source import LiveSource
from edge_lpr.io.sources import Target, find_targets, open_source, told_apart
from edge_lpr.pipeline.events import PlateEvent, event_id, states_of
from edge_lpr.pipeline.looks import Look, Seen
from edge_lpr.pipeline.ordered_pool import OrderedPool
from edge_lpr.pipeline.stream import BatchReader, FrameResult, Stream, see
from edge_lpr.pipeline.wall_clock import ClockWatch
from edge_lpr.plates import PlateRead

__all__ = ["SourceName", "read_live", "read_sources"]

SourceName = str | int | Path
"""What names a source: an image, folder, glob, video file, camera index, address or GStreamer pipeline."""

_logger = logging.getLogger("edge_lpr")
LIVE_BATCHES = 2  # at work at once: more would make what is read older, and the GPU no busier
_TICK = 0.2  # seconds after which the clock is looked at where no frame comes


def read_live(streams: Sequence[Stream], stop: threading.Event | None = None) -> Iterator[FrameResult]:
    """Reads several live sources at once, the newest frames of all of them as one batch.

    A source that ends or fails is flushed and leaves the others running. What the clock tells of vehicles,
    and the loss of a source, is given when it is so, whether a frame comes or not. On a GPU the next batch is
    prepared while one is at work.

    Args:
        streams: Streams over `LiveSource`s.
        stop: See `read_sources`.
    """
    wake = threading.Event()
    clock = ClockWatch()
    running = list(streams)
    for stream in running:
        _live(stream).wake = wake
    workers = min(LIVE_BATCHES, running[0].reader.workers) if running else 1
    with OrderedPool(_read_together, workers, wake.set) as pool:
        while (running or pool.items) and not (stop is not None and stop.is_set()):
            wake.clear()
            yield from _steps(pool.finished())
            if running and (step := clock.step()) is not None:
                running[0].source.on_warning(
                    f"the clock was set {'forward' if step > 0 else 'back'} by {abs(step):.1f} s: times of "
                    "day before and after that do not fit each other"
                )
            ready: list[_Ready] = []
            # While all are at work, what comes waits at its source, where a newer frame takes its place.
            for stream in [] if pool.is_full else list(running):
                source = _live(stream)
                now = source.now()  # before the frame: what is known up to then is in it, or there is none
                try:
                    frame = source.read()
                except SourceError as e:
                    source.on_warning(str(e))
                    frame = None
                if frame is not None:
                    ready.append(_Ready(stream, frame, stream.look(frame)))
                    continue
                if any(one.stream is stream for batch in pool.items for one in batch):
                    if not source.ended and not stream.missed(source.losses):
                        continue  # the clock tells nothing that is older than a frame in hand
                    yield from _steps(pool.rest())
                if source.ended:
                    running.remove(stream)
                    yield stream.flush()
                elif (told := stream.advance(now, source.losses)).events:
                    yield told
            if ready:
                pool.begin(ready)
            elif running or pool.items:
                wake.wait(_TICK)
        yield from _steps(pool.rest())


def read_sources(
    reader: BatchReader,
    *sources: SourceName,
    options: CaptureOptions | None = None,
    report: str | None = None,
    stop: threading.Event | None = None,
) -> Iterator[FrameResult]:
    """Reads everything that sources name; the generator behind `PlateReader.events`.

    As the command does it: files in order, then all live sources at once. What is wrong with one does not end
    the reading of the others.

    Args:
        reader: Reads the frames.
        sources: Images, folders, globs, video files, camera indices, addresses and GStreamer pipelines.
        options: How videos and live sources are read.
        report: Which events are given; see `PlateReader.events`.
        stop: Ends the reading once it is set, from whichever thread, within a batch or a fifth of a second.

    Yields:
        A step per frame, and one where time alone told something; each plate of an image stands as a track of
        one read.

    Raises:
        SourceError: A source cannot be opened, or nothing of it can be read; raised once all others are read.
        SettingError: No such report.
    """
    states_of(report, live=True)
    stop = stop or threading.Event()
    failures: list[SourceError] = []
    targets: list[Target] = []
    for source in sources:
        with _kept(failures):
            targets += find_targets(source)
    targets = told_apart(targets)
    for target in targets:
        if not target.live and not stop.is_set():
            with _kept(failures), open_source(target, options) as opened:
                yield from _read_file(Stream(reader, opened, report=report), stop)
    live: list[Source] = []
    try:
        for target in targets:
            if target.live:
                with _kept(failures):
                    live.append(open_source(target, options))
        for failure in failures if live else ():
            _logger.warning(str(failure))  # it may be long until all others have ended
        yield from read_live([Stream(reader, source, report=report) for source in live], stop)
        failures += [source.failure for source in live if isinstance(source, LiveSource) and source.failure]
    finally:
        for opened in live:
            opened.stop()
        for opened in live:
            opened.close()
    if len(failures) == 1:
        raise failures[0]
    if failures:
        raise SourceError("; ".join(map(str, failures)))


def _read_file(stream: Stream, stop: threading.Event) -> Iterator[FrameResult]:
    for step in stream:
        if stream.source.is_image and step.frame is not None:
            frame = step.frame
            events = [_event_of(read, frame, number) for number, read in enumerate(step.reads, 1)]
            yield replace(step, events=events)
        else:
            yield step
        if stop.is_set():
            return
    yield stream.flush()


class _Ready(NamedTuple):
    """A frame to be read."""

    stream: Stream
    frame: Frame
    look: Look


def _read_together(batch: list[_Ready]) -> list[Seen]:
    return see(batch[0].stream.reader, [(one.frame, one.look) for one in batch])


def _steps(results: Iterable[tuple[Sequence[_Ready], list[Seen]]]) -> Iterator[FrameResult]:
    for batch, found in results:
        for one, seen in zip(batch, found, strict=True):
            yield one.stream.step(one.frame, seen)


@contextmanager
def _kept(failures: list[SourceError]) -> Iterator[None]:
    try:
        yield
    except SourceError as e:
        failures.append(e)


def _live(stream: Stream) -> LiveSource:
    assert isinstance(stream.source, LiveSource)
    return stream.source


def _event_of(read: PlateRead, frame: Frame, number: int) -> PlateEvent:
    """Makes the event of a plate that was seen in one frame alone."""
    seconds = frame.time or 0.0
    return PlateEvent(
        text=read.text,
        kind=read.kind,
        score=read.score,
        min_score=read.min_score,
        char_scores=read.char_scores,
        reads=1,
        first_seen=seconds,
        last_seen=seconds,
        first_frame=frame.index,
        last_frame=frame.index,
        track=0,
        corners=read.corners,
        crop=crop_quad(frame.image, read.corners),
        id=event_id(frame.name, None, number),
        source=frame.name,
        candidates=read.candidates,
    )
