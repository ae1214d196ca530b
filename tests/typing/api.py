"""What programs write with the public API: checked by mypy --strict (`.ci/run`) and for pyright, never run.

Each call here has to pass without a cast, and each `assert_type` has to hold.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edge_lpr import AsyncPlateReader, Candidate, PlateEvent, PlateRead, PlateReader, plate_kinds

if TYPE_CHECKING:
    from typing_extensions import assert_type


def images(reader: PlateReader, frame: NDArray[np.uint8], anything: NDArray[Any]) -> list[PlateRead]:
    """Whatever a caller has."""
    video = cv2.VideoCapture("street.mp4")
    found, seen = video.read()
    reads = reader.read("street.jpg") + reader.read(Path("street.jpg"))
    reads += reader.read(cv2.imread("street.jpg"))
    reads += reader.read(cv2.imread("street.jpg", cv2.IMREAD_UNCHANGED))
    reads += reader.read(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY))
    reads += reader.read(cv2.resize(frame, (640, 480)))
    if found:
        reads += reader.read(seen)
    reads += reader.read(frame) + reader.read(anything) + reader.read(np.asarray(frame))
    with Image.open("street.jpg") as opened:
        reads += reader.read(opened) + reader.read(opened.convert("L"))
    for batch in reader.read_batch(["a.jpg", Path("b.jpg"), cv2.imread("c.jpg")]):
        reads += batch
    crops = reader.read_crops([cv2.imread("crop.png"), frame])
    assert_type(crops, list[PlateRead | None])
    return reads


def results(reader: PlateReader) -> None:
    """What comes back."""
    sources = ("rtsp://camera/1", 0, Path("a.mp4"))
    for event in reader.events(*sources, stride=2, reconnect=60.0, rotate="90", report="new"):
        assert_type(event, PlateEvent)
        assert_type(event.to_dict(), dict[str, Any])
        assert_type(event.candidates, tuple[Candidate, ...])
        assert_type(event.text, str)
    for read in reader.read("a.jpg"):
        assert_type(read.to_dict(), dict[str, Any])
        scores: Sequence[float] = [one.score for one in read.candidates]
        print(read.text, scores, plate_kinds())


async def asynchronous(reader: PlateReader, body: bytes) -> AsyncIterator[str]:
    """Under asyncio."""
    async with AsyncPlateReader(reader) as shared:
        picture = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR)
        assert_type(await shared.read(picture), list[PlateRead])
        async for event in shared.events("rtsp://camera/1", timeout=5.0):
            assert_type(event, PlateEvent)
            yield event.text


def mistakes(reader: PlateReader) -> None:
    """What has to be refused; mypy --strict says where an `ignore` is for nothing."""
    reader.read(b"bytes")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    reader.events("a.mp4", strides=2)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    reader.events("a.mp4", rotate="45")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
