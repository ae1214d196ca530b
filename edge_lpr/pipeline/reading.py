"""Reading sources: several live ones at once, or everything that one source names."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from edge_lpr.errors import SourceError
from edge_lpr.geometry import crop_quad
from edge_lpr.io.capture_options import CaptureOptions
from edge_lpr.io.frames import Frame, Source
from edge_lpr.io.live_source import LiveSource
from edge_lpr.io.sources import Target, find_targets, open_source, told_apart
from edge_lpr.pipeline.events import PlateEvent, event_id, states_of
from edge_lpr.pipeline.live_reading import LiveReading
from edge_lpr.pipeline.stream import BatchReader, FrameResult, Stream
from edge_lpr.plates import PlateRead

__all__ = ["SourceName", "read_live", "read_sources"]

SourceName = str | int | Path
"""What names a source: an image, folder, glob, video file, camera index, address or GStreamer pipeline."""

_logger = logging.getLogger("edge_lpr")


def read_live(streams: Sequence[Stream], stop: threading.Event | None = None) -> Iterator[FrameResult]:
    """Reads several live sources at once, until each has ended; see `LiveReading`.

    Args:
        streams: Streams over `PolledSource`s.
        stop: See `read_sources`.
    """
    reading = LiveReading(streams[0].reader.workers if streams else 1, stop=stop)
    for stream in streams:
        reading.add(stream)
    return reading.steps()


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


@contextmanager
def _kept(failures: list[SourceError]) -> Iterator[None]:
    try:
        yield
    except SourceError as e:
        failures.append(e)


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
