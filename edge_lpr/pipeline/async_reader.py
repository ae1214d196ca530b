"""`PlateReader` for asyncio: web frameworks whose one thread must never wait for a model."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from edge_lpr.io.image_input import ImageLike
from edge_lpr.pipeline.event_options import EventOptions
from edge_lpr.pipeline.events import PlateEvent
from edge_lpr.pipeline.reader import PlateReader
from edge_lpr.pipeline.reading import SourceName
from edge_lpr.pipeline.stream import FrameResult
from edge_lpr.plates import PlateRead

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["AsyncPlateReader"]

T = TypeVar("T")


class AsyncPlateReader:
    """Reads plates without holding the event loop up; one for all tasks of a program.

    Images are read in threads of its own, as many at once as keep the models busy; the others wait their
    turn, and a task that is cancelled meanwhile takes its image out of the queue. Each `events` has a thread
    of its own for as long as it is iterated over.

    Args:
        reader: What reads; closed with this.
    """

    def __init__(self, reader: PlateReader) -> None:
        self.reader = reader
        self._pool = ThreadPoolExecutor(reader.workers, "edge-lpr reads")

    async def __aenter__(self) -> AsyncPlateReader:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Waits for what is being read and frees the models; may be called twice."""
        await asyncio.to_thread(self._close)

    async def read(self, image: ImageLike) -> list[PlateRead]:
        """Reads the plates of one image; see `PlateReader.read`."""
        return await self._in_pool(lambda: self.reader.read(image))

    async def read_batch(self, images: Sequence[ImageLike]) -> list[list[PlateRead]]:
        """Reads the plates of several images at once; see `PlateReader.read_batch`."""
        return await self._in_pool(lambda: self.reader.read_batch(images))

    async def read_crops(self, crops: Sequence[ImageLike]) -> list[PlateRead | None]:
        """Reads images that are each a plate already cut out; see `PlateReader.read_crops`."""
        return await self._in_pool(lambda: self.reader.read_crops(crops))

    async def events(
        self, *sources: SourceName, **options: Unpack[EventOptions]
    ) -> AsyncGenerator[PlateEvent, None]:
        """Reads any sources and gives events of the vehicles; see `PlateReader.events`.

        The sources are read as events are asked for, and closed when the iteration ends: at its end, by the
        cancellation of the task, or by `aclose()` (use `contextlib.aclosing` where you break off).

        Args:
            sources: As for `PlateReader.events`.
            options: As for `PlateReader.events`.

        Raises:
            SourceError: As `PlateReader.events`.
            SettingError: As `PlateReader.events`.
        """
        stop = threading.Event()
        steps = self.reader.steps(*sources, stop=stop, **options)
        thread = ThreadPoolExecutor(1, "edge-lpr events")
        loop = asyncio.get_running_loop()
        try:
            while (found := await loop.run_in_executor(thread, _next_events, steps)) is not None:
                for event in found:
                    yield event
        finally:
            stop.set()
            thread.submit(_close, steps)
            # The sources are closed before this is over, also where it is cancelled once more meanwhile.
            await asyncio.shield(asyncio.to_thread(thread.shutdown))

    async def _in_pool(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    def _close(self) -> None:
        self._pool.shutdown()
        self.reader.close()


def _next_events(steps: Iterator[FrameResult]) -> Sequence[PlateEvent] | None:
    """Reads on to the next events; None at the end."""
    for step in steps:
        if step.events:
            return step.events
    return None


def _close(steps: Iterator[FrameResult]) -> None:
    close = getattr(steps, "close", None)
    if close is not None:
        close()
