"""One pass of a reader over a source: frames in; reads, and what is known of vehicles, out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from edge_lpr.bundle.manifest import Bundle
from edge_lpr.errors import SourceError
from edge_lpr.io.frames import Frame, Source
from edge_lpr.io.image_io import MAX_PIXELS
from edge_lpr.pipeline.detector import Detector
from edge_lpr.pipeline.events import PlateEvent, event_id, states_of
from edge_lpr.pipeline.ordered_pool import in_order
from edge_lpr.pipeline.settings import ReadSettings, TrackSettings
from edge_lpr.pipeline.tracker import PlateTracker
from edge_lpr.plates import PlateRead
from edge_lpr.types import Image

__all__ = ["BatchReader", "FrameResult", "Stream"]

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
        frame: The frame; None in the last step of a source, which gives the vehicles that were still in view,
            and where time alone, or the loss of the source, told something.
        reads: What the frame shows.
        events: What is known of vehicles with this frame; of an image nothing, from `read_sources` one event
            for each read.
        tracked: Whether the source's reads are joined to tracks.
        by_clock: Whether there is no frame because none has come, and the source goes on.
        known: Each of `reads` as its vehicle is known with this frame: text, kind and scores fused, and no
            text where they are not sure enough to be told. None where nothing is tracked.
    """

    source: Source
    frame: Frame | None
    reads: Sequence[PlateRead]
    events: Sequence[PlateEvent]
    tracked: bool
    by_clock: bool = False
    known: Sequence[PlateRead] | None = None

    @property
    def is_last(self) -> bool:
        """Whether the source gives no more."""
        return self.frame is None and not self.by_clock


class Stream:
    """A reader and, for anything that moves, a tracker over one source.

    Args:
        reader: Reads the frames.
        source: Gives the frames.
        track: Whether the reads of a video are joined to tracks; images never are.
        report: Which events are given; see `states_of`.

    Raises:
        SettingError: No such report.
    """

    def __init__(
        self, reader: BatchReader, source: Source, track: bool = True, report: str | None = None
    ) -> None:
        self.reader = reader
        self.source = source
        self.tracker: PlateTracker | None = None
        self._report = report
        self._losses = 0
        self._next_rescan = -math.inf
        states = states_of(report, source.live)
        if track and not source.is_image:
            model = reader.bundle.rec
            self.tracker = PlateTracker(
                model.charset,
                model.unknown_class,
                reader.tracking,
                self._identify,
                reader.settings.min_score,
                reader.settings.candidates,
                source.label,
            )
            self.tracker.states = states

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
        known: Sequence[PlateRead] | None = None
        if self.tracker is not None:
            # Whether an address is live, and how fast it is, is known by its first frame.
            self.tracker.states = states_of(self._report, self.source.live)
            self.tracker.fps = self.source.fps
            seconds = frame.time or 0.0
            events = self.tracker.update(list(reads), frame.index, seconds, frame.image, frame.wall)
            known = self.tracker.known
        return FrameResult(self.source, frame, reads, events, self.tracker is not None, known=known)

    def advance(self, time: float | None, losses: int) -> FrameResult:
        """Takes in that no frame has come.

        Args:
            time: Up to when, in seconds of the source; None where it has no clock.
            losses: How often the source had been lost by then: the vehicles in view are gone with it.
        """
        events: Sequence[PlateEvent] = ()
        if self.tracker is not None:
            if self.missed(losses):
                events = self.tracker.flush()
            elif time is not None:
                events = self.tracker.advance(time)
        self._losses = max(losses, self._losses)
        return FrameResult(self.source, None, (), events, self.tracker is not None, by_clock=True)

    def missed(self, losses: int) -> bool:
        """Tells whether the source was lost once more than `advance` was told."""
        return losses > self._losses

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

    def _identify(self, number: int) -> str:
        return event_id(self.source.label, self.source.started, number)

    def _read(self, batch: list[tuple[Frame, bool]]) -> list[list[PlateRead]]:
        images = [frame.image for frame, _ in batch]
        return self.reader.read_batch(images, None if self.source.is_image else [again for _, again in batch])


def _pixels(batch: Sequence[tuple[Frame, bool]]) -> int:
    return sum(frame.image.shape[0] * frame.image.shape[1] for frame, _ in batch)
