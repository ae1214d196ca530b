"""Reading under asyncio: nothing waits for a model but who asked, and cancelling ends a source."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.waiting import LONG, wait_until
from numpy.typing import NDArray

from edge_lpr import AsyncPlateReader, PlateReader
from edge_lpr.errors import SettingError, SourceError

Scene = Callable[..., NDArray[np.uint8]]
TEXT = "皖A13H25"


def of_events() -> set[threading.Thread]:
    return {t for t in threading.enumerate() if t.name.startswith("edge-lpr events")}


def test_many_tasks_share_a_reader_and_the_loop_goes_on(reader: PlateReader, plate_scene: Scene) -> None:
    images = [plate_scene(TEXT), np.full((240, 320, 3), 110, np.uint8)] * 2

    async def read() -> tuple[list[list[str]], float]:
        late = 0.0

        async def tick() -> None:
            nonlocal late
            while True:
                before = time.monotonic()
                await asyncio.sleep(0.005)
                late = max(late, time.monotonic() - before)

        ticking = asyncio.create_task(tick())
        shared = AsyncPlateReader(reader)
        found = await asyncio.gather(*(shared.read(image) for image in images))
        assert await shared.read_batch(images[1:2]) == [[]] and len(await shared.read_crops(images[:1])) == 1
        ticking.cancel()
        return [[r.text for r in reads] for reads in found], late

    texts, late = asyncio.run(read())
    assert texts == [[TEXT], []] * 2
    assert late > 0


def test_events_of_a_file(reader: PlateReader, street: Path) -> None:
    async def read() -> list[str]:
        return [event.text async for event in AsyncPlateReader(reader).events(street)]

    assert asyncio.run(read()) == [TEXT]
    assert not of_events()


def test_errors_are_those_of_the_reader(reader: PlateReader, tmp_path: Path) -> None:
    async def read(**options: object) -> None:
        async for _ in AsyncPlateReader(reader).events(tmp_path / "none.mp4", **options):  # type: ignore[arg-type]
            pass

    with pytest.raises(SourceError, match="no such file"):
        asyncio.run(read())
    with pytest.raises(SettingError, match="no setting 'strides'"):
        asyncio.run(read(strides=2))


def test_cancelling_a_task_ends_its_source(reader: PlateReader, camera: Any, plate_scene: Scene) -> None:
    camera.image = plate_scene(TEXT)

    async def read() -> None:
        seen = asyncio.Event()

        async def follow() -> None:
            async for _ in AsyncPlateReader(reader).events(camera.address, timeout=LONG):
                seen.set()

        following = asyncio.create_task(follow())
        await asyncio.wait_for(seen.wait(), LONG)
        assert of_events()
        following.cancel()
        with pytest.raises(asyncio.CancelledError):
            await following
        assert not of_events()

    asyncio.run(read())
    wait_until(lambda: not [t.name for t in threading.enumerate() if "camera" in t.name.lower()])


def test_breaking_off_closes_the_source(reader: PlateReader, street: Path) -> None:
    async def read() -> None:
        async with aclosing(AsyncPlateReader(reader).events(street, report="all")) as events:
            async for event in events:
                assert event.state == "new"
                break
        assert not of_events()

    asyncio.run(read())
