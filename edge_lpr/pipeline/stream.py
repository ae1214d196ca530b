"""One pass of a reader over sources: frames in; reads, and the tracks that ended, out."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from edge_lpr.bundle.manifest import Bundle
from edge_lpr.errors import SourceError
from edge_lpr.geometry import crop_quad
from edge_lpr.io.capture import CaptureOptions, CaptureSource
from edge_lpr.io.frames import Frame, Source
from edge_lpr.io.image_io import MAX_PIXELS
from edge_lpr.io.sources import find_targets, open_source
from edge_lpr.pipeline.detector import Detector
from edge_lpr.pipeline.ordered_pool import in_order
from edge_lpr.pipeline.settings import ReadSettings, TrackSettings
from edge_lpr.pipeline.tracker import PlateEvent, PlateTracker
from edge_lpr.plates import PlateRead
from edge_lpr.types import Image

__all__ = ["BatchReader", "FrameResult", "Stream", "read_live", "read_stream"]

# Once a batch has so many pixels it is full: 8 frames of 1920×1080, 50 MB, and that for each batch at work.
MAX_BATCH_PIXELS = 16_000_000


class BatchReader(Protocol):
    """What is needed of a reader here; `PlateReader` is one.

    Attributes:
        bundle: Says what the columns of `PlateRead.log_probs` are.
        detector: Its backend says how many frames are best read at once.
        settings: What counts as a plate, and how often a video's frames are searched again.
        tracking: How the reads of one vehicle are joined.
        workers: How many batches are best at work at once.
    """

    bundle: Bundle
    detector: Detector
    settings: ReadSettings
    tracking: TrackSettings
    workers: int

    def read_batch(
        self, images: Sequence[Image], rescan: Sequence[bool] | None = None
    ) -> list[list[PlateRead]]:
        """Reads the plates of each image; see `PlateReader.read_batch`."""
        ...


@dataclass(frozen=True, eq=False)
class FrameResult:
    """What one frame gave.

    Attributes:
        source: Where the frame came from.
        frame: The frame; None in the last step of a source, which gives the vehicles that were still in view.
        reads: What the frame shows.
        events: The tracks that ended with this frame; of an image none, from `read_stream` one for each read.
        tracked: Whether the source's reads are joined to tracks.
    """

    source: Source
    frame: Frame | None
    reads: Sequence[PlateRead]
    events: Sequence[PlateEvent]
    tracked: bool


class Stream:
    """A reader and, for anything that moves, a tracker over one source.

    Args:
        reader: Reads the frames.
        source: Gives the frames.
        track: Whether the reads of a video are joined to tracks; images never are.
    """

    def __init__(self, reader: BatchReader, source: Source, track: bool = True) -> None:
        self.reader = reader
        self.source = source
        tracked = track and not source.is_image
        model = reader.bundle.rec
        self.tracker = PlateTracker(model.charset, model.unknown_class, reader.tracking) if tracked else None
        self._next_rescan = -math.inf

    def __iter__(self) -> Iterator[FrameResult]:
        """Gives a step for each frame; `flush` afterwards gives the rest, after an interruption too.

        Raises:
            SourceError: Nothing could be read.
            BackendError: The backend failed.
        """
        if self.source.live:  # a frame that waits for the next one is no longer the newest
            size, workers = 1, 1
        else:
            size, workers = self.reader.detector.backend.preferred_batch, self.reader.workers
        batches = self._batches(size)
        for frames, found in in_order(self._read, batches, workers, _pixels, MAX_PIXELS):
            for (frame, _), reads in zip(frames, found, strict=True):
                yield self.step(frame, reads)

    def step(self, frame: Frame, reads: Sequence[PlateRead]) -> FrameResult:
        """Takes in what a frame shows."""
        events: Sequence[PlateEvent] = ()
        if self.tracker is not None:
            events = self.tracker.update(list(reads), frame.index, frame.time or 0.0, frame.image)
        return FrameResult(self.source, frame, reads, events, self.tracker is not None)

    def flush(self) -> FrameResult:
        """Ends the tracks of the vehicles still in view."""
        events = self.tracker.flush() if self.tracker is not None else ()
        return FrameResult(self.source, None, (), events, self.tracker is not None)

    def may_rescan(self, frame: Frame) -> bool:
        """Tells whether a frame is searched again where it shows no plate; asked once for each, in order.

        An empty street would else cost a second search in every frame. A vehicle that fills the picture stays
        in it for longer than `rescan_interval`, and one sure read is enough to report it.
        """
        if self.source.is_image or frame.time is None:
            return True
        if frame.time < self._next_rescan:
            return False
        self._next_rescan = frame.time + self.reader.settings.rescan_interval
        return True

    def _batches(self, size: int) -> Iterator[list[tuple[Frame, bool]]]:
        batch: list[tuple[Frame, bool]] = []
        pixels = 0
        ended: SourceError | None = None
        try:
            for frame in self.source:
                batch.append((frame, self.may_rescan(frame)))
                pixels += frame.image.shape[0] * frame.image.shape[1]
                if len(batch) >= size or pixels >= MAX_BATCH_PIXELS:
                    yield batch
                    batch, pixels = [], 0
        except SourceError as e:  # what came before it is read first
            ended = e
        if batch:
            yield batch
        if ended is not None:
            raise ended

    def _read(self, batch: list[tuple[Frame, bool]]) -> list[list[PlateRead]]:
        images = [frame.image for frame, _ in batch]
        return self.reader.read_batch(images, None if self.source.is_image else [again for _, again in batch])


def read_live(streams: Sequence[Stream]) -> Iterator[FrameResult]:
    """Reads several live sources at once, the newest frames of all of them as one batch.

    A source that ends or fails is flushed and leaves the others running.

    Args:
        streams: Streams over `CaptureSource`s.
    """
    wake = threading.Event()
    running = list(streams)
    for stream in running:
        if isinstance(stream.source, CaptureSource):
            stream.source.wake = wake
    while running:
        wake.clear()
        ready: list[tuple[Stream, Frame]] = []
        for stream in list(running):
            source = stream.source
            assert isinstance(source, CaptureSource)
            try:
                frame = source.read()
            except SourceError as e:
                source.state = "source lost"
                source.on_warning(str(e))
                frame = None
            if frame is not None:
                ready.append((stream, frame))
            elif source.ended:
                running.remove(stream)
                yield stream.flush()
        if ready:
            rescan = [stream.may_rescan(frame) for stream, frame in ready]
            found = ready[0][0].reader.read_batch([frame.image for _, frame in ready], rescan)
            for (stream, frame), reads in zip(ready, found, strict=True):
                yield stream.step(frame, reads)
        elif running:
            wake.wait(0.5)


def read_stream(
    reader: BatchReader, source: str | int | Path, options: CaptureOptions | None = None
) -> Iterator[FrameResult]:
    """Reads everything that a source names; the generator behind `PlateReader.events`.

    Args:
        reader: Reads the frames.
        source: An image, folder, glob, video file, camera index, address or GStreamer pipeline.
        options: How videos and live sources are read.

    Yields:
        A step per frame; each plate of an image stands as a track of one read.

    Raises:
        SourceError: The source cannot be opened, or nothing of it can be read.
    """
    for target in find_targets(source):
        with open_source(target, options) as opened:
            stream = Stream(reader, opened)
            for step in stream:
                if opened.is_image and step.frame is not None:
                    yield replace(step, events=[_event_of(read, step.frame) for read in step.reads])
                else:
                    yield step
            yield stream.flush()


def _pixels(batch: Sequence[tuple[Frame, bool]]) -> int:
    return sum(frame.image.shape[0] * frame.image.shape[1] for frame, _ in batch)


def _event_of(read: PlateRead, frame: Frame) -> PlateEvent:
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
    )
