"""Reading live streams at once, the newest frames of all of them as one batch; they come and go meanwhile."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from edge_lpr.errors import SourceError
from edge_lpr.io.frames import Frame, PolledSource
from edge_lpr.pipeline.looks import Look, Seen
from edge_lpr.pipeline.ordered_pool import OrderedPool
from edge_lpr.pipeline.stream import FrameResult, Stream, see
from edge_lpr.pipeline.wall_clock import ClockWatch

__all__ = ["LiveReading", "OnFailure"]

OnFailure = Callable[[Stream, Exception], None]
"""Takes a stream, and what was raised as a frame of it was read."""

LIVE_BATCHES = 2  # at work at once: more would make what is read older, and the GPU no busier
_TICK = 0.2  # seconds after which the clock is looked at where no frame comes
_HOPELESS = 30.0  # seconds in which no frame of any stream could be read, after which the reader has failed


class LiveReading:
    """Reads streams over `PolledSource`s.

    A source that ends or fails is flushed and leaves the others running. What the clock tells of vehicles,
    and the loss of a source, is given when it is so, whether a frame comes or not. On a GPU the next batch is
    prepared while one is at work.

    Args:
        workers: Batches that the streams' reader has best at work at once.
        on_failure: Called where a frame makes the reader or a tracker fail. The others of its batch are read
            nevertheless, and its stream goes on with the next one. None raises what was raised.
        stop: Ends the reading once it is set, from whichever thread, within a batch or a fifth of a second.
        endless: Whether to go on where there is no stream.
    """

    def __init__(
        self,
        workers: int,
        on_failure: OnFailure | None = None,
        stop: threading.Event | None = None,
        endless: bool = False,
    ) -> None:
        self._workers = min(LIVE_BATCHES, workers)
        self._on_failure = on_failure
        self._stop = stop or threading.Event()
        self._endless = endless
        self._running: list[Stream] = []
        self._changes: deque[tuple[bool, Stream]] = deque()
        self._wake = threading.Event()
        self._failing_since: float | None = None

    def add(self, stream: Stream) -> None:
        """Has a stream read, too; from whichever thread."""
        _polled(stream).wake = self._wake
        self._change(True, stream)

    def remove(self, stream: Stream) -> None:
        """Has a stream read no more, its source open or not; from whichever thread.

        Its last step gives the vehicles that are in view.
        """
        self._change(False, stream)

    def steps(self) -> Iterator[FrameResult]:
        """Gives a step per frame, and one where time alone, or a loss, told something; iterate once.

        Raises:
            Exception: What the reader raised, where nobody takes failures, or no frame of any stream could be
                read for half a minute.
        """
        clock = ClockWatch()
        with OrderedPool(self._read, self._workers, self._wake.set) as pool:
            while not self._stop.is_set() and (self._running or pool.items or self._changes or self._endless):
                self._wake.clear()
                yield from self._steps(pool.finished())
                yield from self._changed(pool)
                if self._running and (step := clock.step()) is not None:
                    self._running[0].source.on_warning(
                        f"the clock was set {'forward' if step > 0 else 'back'} by {abs(step):.1f} s: times "
                        "of day before and after that do not fit each other"
                    )
                ready: list[_Ready] = []
                # While all are at work, what comes waits at its source, where a newer frame takes its place.
                for stream in [] if pool.is_full else list(self._running):
                    # Before the frame: what is known up to then is in it, or there is none.
                    now, one = _polled(stream).now(), None
                    with self._apart(stream):
                        one = _next(stream)
                    if one is not None:
                        ready.append(one)
                    else:
                        yield from self._without_frame(stream, now, pool)
                if ready:
                    pool.begin(ready)
                elif self._running or pool.items or self._endless:
                    self._wake.wait(_TICK)
            yield from self._steps(pool.rest())
            yield from self._changed(pool)  # one that was removed just now has vehicles in view, too

    def _change(self, more: bool, stream: Stream) -> None:
        self._changes.append((more, stream))
        self._wake.set()

    def _changed(self, pool: _Pool) -> Iterator[FrameResult]:
        while self._changes:
            more, stream = self._changes.popleft()
            if more:
                self._running.append(stream)
            elif stream in self._running:
                if _in_hand(stream, pool):
                    yield from self._steps(pool.rest())
                yield from self._ended(stream)

    def _without_frame(self, stream: Stream, now: float | None, pool: _Pool) -> Iterator[FrameResult]:
        source = _polled(stream)
        if _in_hand(stream, pool):
            if not source.ended and not stream.missed(source.losses):
                return  # the clock tells nothing that is older than a frame in hand
            yield from self._steps(pool.rest())
        if source.ended:
            yield from self._ended(stream)
            return
        told: FrameResult | None = None
        with self._apart(stream):
            told = stream.advance(now, source.losses)
        if told is not None and told.events:
            yield told

    def _ended(self, stream: Stream) -> Iterator[FrameResult]:
        self._running.remove(stream)
        last: FrameResult | None = None
        with self._apart(stream):
            last = stream.flush()
        if last is not None:
            yield last

    def _read(self, batch: Sequence[_Ready]) -> list[Seen | Exception]:
        try:
            return [*see(batch[0].stream.reader, [(one.frame, one.look) for one in batch])]
        except Exception as e:
            if self._on_failure is None:
                raise
            return [e] if len(batch) == 1 else [found for one in batch for found in self._read([one])]

    def _steps(
        self, results: Iterable[tuple[Sequence[_Ready], list[Seen | Exception]]]
    ) -> Iterator[FrameResult]:
        for batch, found in results:
            self._judge(found)
            for one, seen in zip(batch, found, strict=True):
                result: FrameResult | None = None
                with self._apart(one.stream):
                    if isinstance(seen, Exception):
                        raise seen
                    result = one.stream.step(one.frame, seen)
                if result is not None:
                    yield result

    def _judge(self, found: Sequence[Seen | Exception]) -> None:
        """Raises where the reader can read nothing any more."""
        first = found[0]
        if not isinstance(first, Exception) or any(isinstance(seen, Seen) for seen in found):
            self._failing_since = None
            return
        now = time.monotonic()
        if self._failing_since is None:
            self._failing_since = now
        elif now - self._failing_since > _HOPELESS:
            raise first

    @contextmanager
    def _apart(self, stream: Stream) -> Iterator[None]:
        """What is wrong with one stream is no reason to end the others."""
        try:
            yield
        except Exception as e:
            if self._on_failure is None:
                raise
            self._on_failure(stream, e)


class _Ready(NamedTuple):
    """A frame to be read."""

    stream: Stream
    frame: Frame
    look: Look


_Pool = OrderedPool[Sequence[_Ready], list[Seen | Exception]]


def _polled(stream: Stream) -> PolledSource:
    assert isinstance(stream.source, PolledSource)
    return stream.source


def _next(stream: Stream) -> _Ready | None:
    source = _polled(stream)
    try:
        frame = source.read()
    except SourceError as e:
        source.on_warning(str(e))
        return None
    return None if frame is None else _Ready(stream, frame, stream.look(frame))


def _in_hand(stream: Stream, pool: _Pool) -> bool:
    return any(one.stream is stream for batch in pool.items for one in batch)
