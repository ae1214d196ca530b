"""What the page and the interface show and change: parts of the running service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from edge_lpr.pipeline.async_reader import AsyncPlateReader
from edge_lpr.serve.board import CameraBoard
from edge_lpr.serve.lists import Lists
from edge_lpr.serve.pictures import Pictures
from edge_lpr.serve.settings import ServeSettings
from edge_lpr.serve.store import EventStore

__all__ = ["Areas", "Depths", "Polygons", "WebContext"]

T = TypeVar("T")
_THREADS = 4  # that wait for the disk; they stay, as each keeps a connection to the database
Polygons = Sequence[Sequence[tuple[float, float]]]
"""Each a list of corners, x and y in shares of the frame's width and height."""


@dataclass(frozen=True)
class Areas:
    """Where in a camera's picture is read.

    Attributes:
        regions: Plates whose middle lies in one of these are read; all if none. In shares of the frame.
        masks: Painted over.
        is_drawn: Whether they were drawn on the page, and go before the configuration.
    """

    regions: Polygons
    masks: Polygons
    is_drawn: bool


class Depths(Protocol):
    """The queues of the outputs."""

    def depths(self) -> Mapping[str, int]:
        """Returns how many events wait for each output."""
        ...

    def failing(self) -> Mapping[str, str]:
        """Returns what is wrong with outputs, by name."""
        ...


@dataclass
class WebContext:
    """Parts of the running service, as the page and the interface need them.

    Attributes:
        settings: The configuration that holds; replaced when it is read again.
        store: The events.
        pictures: Crops and frames.
        lists: The lists of plates; replaced with `settings`.
        cameras: The cameras' states and last frames.
        queues: What waits for the outputs.
        reader: Reads posted pictures, and finds what pictures for sharing may not show.
        metrics: Makes the text of /metrics, and its type.
        areas: Gives the regions and masks of a camera that hold.
        change_regions: Takes a camera's name, its regions and masks in shares of the frame; durable when it
            returns. Raises InputError.
        is_ready: Says what the service is not ready for yet; "" where it is.
        clock_trouble: Says why what is kept ages as it does; "" where the clock is right.
        is_over: Whether the page ends: what goes on and on ends too.
    """

    settings: ServeSettings
    store: EventStore
    pictures: Pictures
    lists: Lists
    cameras: CameraBoard
    queues: Depths
    reader: AsyncPlateReader
    metrics: Callable[[], tuple[bytes, str]]
    areas: Callable[[str], Areas]
    change_regions: Callable[[str, Polygons, Polygons], None]
    is_ready: Callable[[], str]
    clock_trouble: Callable[[], str] = lambda: ""
    is_over: bool = False
    _threads: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(_THREADS, "edge-lpr page"), repr=False
    )

    async def work(self, job: Callable[[], T]) -> T:
        """Runs what may take a while, and waits for it without holding the other requests up."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, job)

    def close(self) -> None:
        """Ends the threads once what they do is done, and waits for that; may be called twice."""
        self._threads.shutdown(cancel_futures=True)
