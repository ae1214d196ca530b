"""One pass of a reader over a source: frames in; reads, and what is known of vehicles, out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from edge_lpr.bundle.manifest import Bundle
from edge_lpr.errors import SourceError
from edge_lpr.io.frames import Frame, Source
from edge_lpr.io.image_io import MAX_PIXELS
from edge_lpr.pipeline.detector import Detector
from edge_lpr.pipeline.events import PlateEvent, event_id, states_of
from edge_lpr.pipeline.gate import Gate
from edge_lpr.pipeline.load import Load
from edge_lpr.pipeline.look_back import Done, LookBack
from edge_lpr.pipeline.looks import Look, Seen
from edge_lpr.pipeline.ordered_pool import in_order
from edge_lpr.pipeline.settings import GateSettings, ReadSettings, TrackSettings
from edge_lpr.pipeline.tracker import PlateTracker
from edge_lpr.plates import PlateRead
from edge_lpr.types import Image

__all__ = ["BatchReader", "FrameResult", "Stream", "Tracking", "see", "tracker_of"]

# Once a batch has so many pixels it is full: 8 frames of 1920×1080, 50 MB, and that for each batch at work.
MAX_BATCH_PIXELS = 16_000_000


class Tracking(Protocol):
    """What a tracker has to know of a reader.

    Attributes:
        bundle: Says what the columns of `PlateRead.log_probs` are.
        settings: What counts as a plate, and how often a video's frames are searched again.
        tracking: How the reads of one vehicle are joined.
    """

    bundle: Bundle
    settings: ReadSettings
    tracking: TrackSettings


class BatchReader(Tracking, Protocol):
    """What is needed of a reader here; `PlateReader` is one.

    Attributes:
        detector: Its backend says how many frames are best read at once.
        gating: How much of a video's frames is looked at.
        workers: How many batches are best at work at once.
    """

    detector: Detector
    gating: GateSettings
    workers: int

    def read_batch(
        self, images: Sequence[Image], rescan: Sequence[bool] | None = None
    ) -> list[list[PlateRead]]:
        """Reads the plates of each image; see `PlateReader.read_batch`."""
        ...

    def read_look(self, image: Image, look: Look) -> Seen:
        """Reads the plates in what is looked at of a frame; see `PlateReader.read_look`."""
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
            text where they are not sure enough to be told; of a frame that was looked at in part, each plate
            in view, where it should be. None where nothing is tracked.
        look: What of the frame was looked at; None for all of it, as a matter of course.
    """

    source: Source
    frame: Frame | None
    reads: Sequence[PlateRead]
    events: Sequence[PlateEvent]
    tracked: bool
    by_clock: bool = False
    known: Sequence[PlateRead] | None = None
    look: Look | None = None

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
        tracking: How reads are joined; None for the reader's.
        accepts: Says of a read and its frame whether it counts; None takes all.

    Raises:
        SettingError: No such report.
    """

    def __init__(
        self,
        reader: BatchReader,
        source: Source,
        track: bool = True,
        report: str | None = None,
        tracking: TrackSettings | None = None,
        accepts: Callable[[PlateRead, Image], bool] | None = None,
    ) -> None:
        self.reader = reader
        self.source = source
        self.tracker: PlateTracker | None = None
        self._report = report
        self._accepts = accepts
        self._losses = 0
        self._next_rescan = -math.inf
        states = states_of(report, source.live)
        if track and not source.is_image:
            self.tracker = tracker_of(reader, self._identify, source.label, tracking)
            self.tracker.states = states
        self._gate = _gate_for(reader) if self.tracker is not None else None
        self._back: LookBack | None = None
        if self._gate is not None and self.tracker is not None:
            self._back = LookBack(reader, self.tracker)
        self._load = Load()

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
        if self._gate is not None:  # what is looked at depends on what the frame before has shown
            size, workers = 1, 1
        batches = self._batches(size)
        for frames, found in in_order(self._read, batches, workers, _pixels, MAX_PIXELS):
            for (frame, _), seen in zip(frames, found, strict=True):
                yield self.step(frame, seen)
        if self._back is not None:
            self.looked_back(self._back.finish())

    def look(self, frame: Frame) -> Look:
        """Says what of a frame is looked at; asked once for each, after the step of the one before."""
        look = Look()
        if self._gate is not None and self.tracker is not None:
            seconds = frame.time or 0.0
            if self.source.live:
                self._load.note(self.source.dropped)
                self._gate.stretch = self._load.stretch
            self.tracker.look_interval = self._gate.interval
            look = self._gate.plan(frame.image, seconds, self.tracker.places(seconds))
        return replace(look, rescan=look.windows is None and self._may_rescan(frame))

    def step(self, frame: Frame, seen: Seen) -> FrameResult:
        """Takes in what a look at a frame has shown."""
        look = seen.look
        if (accepts := self._accepts) is not None:
            seen = replace(seen, reads=[read for read in seen.reads if accepts(read, frame.image)])
        events: Sequence[PlateEvent] = ()
        known: Sequence[PlateRead] | None = None
        if self.tracker is not None:
            # Whether an address is live, and how fast it is, is known by its first frame.
            self.tracker.states = states_of(self._report, self.source.live)
            self.tracker.fps = self.source.fps
            seconds = frame.time or 0.0
            self.tracker.keep(look.held, seen.followed, frame.index, seconds, frame.wall)
            events = self.tracker.update(list(seen.reads), frame.index, seconds, frame.image, frame.wall)
            known = self.tracker.known
            if self._back is not None:  # while a camera is not kept up with, there is no time for it
                back = self._back.update(frame, look, wanted=self._load.stretch == 1)
                look = replace(look, back=back.windows, share=look.share + back.share)
                self.looked_back(back)
            if look.windows is not None and self._gate is not None:
                known = self.tracker.in_view(seconds, 1.5 * self._gate.known_interval)
        return FrameResult(
            self.source,
            frame,
            seen.reads,
            events,
            self.tracker is not None,
            known=known,
            look=None if self._gate is None else look,
        )

    def looked_back(self, done: Done) -> None:
        """Called with what frames that have gone by showed; for a stream that keeps what each frame shows."""

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

    def _may_rescan(self, frame: Frame) -> bool:
        """Tells whether a frame is searched again where it shows no plate.

        An empty street would else cost a second search in every frame. A vehicle that fills the picture stays
        in it for longer than `rescan_interval`, and one sure read is enough to report it.
        """
        if self.source.is_image or frame.time is None:
            return True
        if frame.time < self._next_rescan:
            return False
        self._next_rescan = frame.time + self.reader.settings.rescan_interval
        return True

    def _batches(self, size: int) -> Iterator[list[tuple[Frame, Look]]]:
        batch: list[tuple[Frame, Look]] = []
        pixels = 0
        ended: SourceError | None = None
        try:
            for frame in self.source:
                batch.append((frame, self.look(frame)))
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

    def _read(self, batch: list[tuple[Frame, Look]]) -> list[Seen]:
        if self.source.is_image:
            found = self.reader.read_batch([frame.image for frame, _ in batch], None)
            return [Seen(look, reads) for (_, look), reads in zip(batch, found, strict=True)]
        return see(self.reader, batch)


def tracker_of(
    reader: Tracking,
    identify: Callable[[int], str],
    label: str,
    tracking: TrackSettings | None = None,
) -> PlateTracker:
    """Returns a tracker that joins what a reader reads, by its settings.

    Args:
        reader: The reader; its models are not used.
        identify: Makes the identifier of a track out of its number.
        label: What events call their source.
        tracking: Settings in place of the reader's.
    """
    model = reader.bundle.rec
    return PlateTracker(
        model.charset,
        model.unknown_class,
        tracking or reader.tracking,
        identify,
        reader.settings.min_score,
        reader.settings.candidates,
        label,
    )


def see(reader: BatchReader, batch: Sequence[tuple[Frame, Look]]) -> list[Seen]:
    """Looks at frames, at those that are looked at as a whole in one batch; returns what each shows."""
    whole = [(frame.image, look.rescan) for frame, look in batch if look.is_plain]
    found = reader.read_batch([image for image, _ in whole], [again for _, again in whole]) if whole else []
    reads = iter(found)
    seen: list[Seen] = []
    for frame, look in batch:
        if look.is_plain:
            seen.append(Seen(look, next(reads)))
        else:
            seen.append(Seen(look) if look.windows == () else reader.read_look(frame.image, look))
    return seen


def _gate_for(reader: BatchReader) -> Gate | None:
    """Returns a gate for a source, where one saves anything.

    A GPU is kept busy by whole frames, several at once, none of which can wait for what the one before has
    shown; and what takes only some sizes would be given windows with margins as large as a frame.
    """
    backend = reader.detector.backend
    one_by_one = reader.workers == 1 and backend.preferred_batch == 1 and backend.sizes is None
    if not one_by_one or reader.gating.gate == "off" or reader.settings.crops_only:
        return None
    return Gate(reader.gating, reader.detector.input_size)


def _pixels(batch: Sequence[tuple[Frame, Look]]) -> int:
    return sum(frame.image.shape[0] * frame.image.shape[1] for frame, _ in batch)
