"""Live streams come and go while they are read, and one that makes the reader fail ends no other one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from helpers.reads import read
from helpers.waiting import wait_until
from numpy.typing import NDArray

from edge_lpr import PlateRead
from edge_lpr.errors import BackendError
from edge_lpr.io.frames import Frame, PolledSource
from edge_lpr.pipeline import live_reading
from edge_lpr.pipeline.live_reading import LiveReading
from edge_lpr.pipeline.reader import PlateReader
from edge_lpr.pipeline.stream import FrameResult, Stream

TEXT = "皖A13H25"
Scene = Callable[..., NDArray[np.uint8]]
EMPTY: NDArray[np.uint8] = np.full((240, 320, 3), 110, np.uint8)


class Camera(PolledSource):
    """Shows an image again and again, ten times a second by its own clock, until it is unplugged."""

    def __init__(self, name: str, image: NDArray[np.uint8] = EMPTY, frames: int | None = None) -> None:
        super().__init__(name, lambda line: None)
        self.live = True
        self.image = image
        self.shown = 0
        self.most = frames
        self.started = 1000.0

    def read(self, wait: float = 0.0) -> Frame | None:
        if self.ended:
            return None
        self.shown += 1
        return Frame(self.image.copy(), self.shown - 1, self.shown / 10, self.label, 1000 + self.shown / 10)

    @property
    def ended(self) -> bool:
        return self.most is not None and self.shown >= self.most

    def now(self) -> float | None:
        return self.shown / 10


@pytest.fixture
def dull(reader: PlateReader, monkeypatch: pytest.MonkeyPatch) -> PlateReader:
    """The reader, with networks that find nothing: what is asked here is who is read, and when."""

    def read_batch(images: Sequence[Any], rescan: Sequence[bool] | None = None) -> list[list[PlateRead]]:
        return [[] for _ in images]

    monkeypatch.setattr(reader, "read_batch", read_batch)
    monkeypatch.setattr(reader, "gating", reader.gating.changed({"gate": "off"}))
    return reader


def steps_of(reading: LiveReading, stop: threading.Event, most: int = 400) -> Iterator[FrameResult]:
    """The steps, ended by the test, or once there are too many."""
    for n, step in zip(count(), reading.steps(), strict=False):
        assert n < most
        yield step
        if stop.is_set():
            return


def test_streams_come_and_go_while_others_are_read(dull: PlateReader) -> None:
    stop = threading.Event()
    reading = LiveReading(1, stop=stop, endless=True)
    one, two = Stream(dull, Camera("one")), Stream(dull, Camera("two"))
    reading.add(one)
    seen: list[str] = []
    for step in steps_of(reading, stop):
        seen.append(f"{step.source.label}{' last' * step.is_last}")
        if len(seen) == 3:
            reading.add(two)
        if seen.count("two") == 3:
            reading.remove(one)
        if "one last" in seen and seen[-3:] == ["two"] * 3:
            reading.remove(two)
        if "two last" in seen:
            stop.set()
    assert seen[:3] == ["one"] * 3 and seen.count("one last") == seen.count("two last") == 1
    after = seen[seen.index("one last") + 1 :]
    assert set(after[:-1]) == {"two"} and after[-1] == "two last"


def test_a_stream_that_is_taken_away_tells_the_end_of_what_is_in_view(
    reader: PlateReader, plate_scene: Scene
) -> None:
    stop = threading.Event()
    reading = LiveReading(1, stop=stop, endless=True)
    stream = Stream(reader, Camera("one", plate_scene(TEXT)))
    reading.add(stream)
    told: list[str] = []
    for step in steps_of(reading, stop):
        told += [event.state for event in step.events]
        if told == ["new"]:
            reading.remove(stream)
        if step.is_last:
            stop.set()
    assert told == ["new", "end"]


def test_one_that_is_taken_away_as_all_ends_tells_its_end_too(
    reader: PlateReader, plate_scene: Scene
) -> None:
    stop = threading.Event()
    reading = LiveReading(1, stop=stop, endless=True)
    told: list[str] = []

    class TakenAway(Camera):
        def read(self, wait: float = 0.0) -> Frame | None:
            if told == ["new"]:  # by another thread, in the middle of a step
                reading.remove(stream)
                stop.set()
            return super().read(wait)

    stream = Stream(reader, TakenAway("one", plate_scene(TEXT)))
    reading.add(stream)
    for step in reading.steps():
        told += [event.state for event in step.events]
    assert told == ["new", "end"]


def test_without_any_stream_it_waits_for_one(dull: PlateReader) -> None:
    stop = threading.Event()
    reading = LiveReading(1, stop=stop, endless=True)
    seen: list[FrameResult] = []
    thread = threading.Thread(target=lambda: seen.extend(steps_of(reading, stop)))
    thread.start()
    reading.add(Stream(dull, Camera("late", frames=3)))
    wait_until(lambda: any(step.is_last for step in seen))
    assert thread.is_alive()
    stop.set()
    thread.join(60)
    assert not thread.is_alive() and len(seen) == 4
    # And where nobody wants it to wait, it ends.
    assert list(LiveReading(1).steps()) == []


POISON: NDArray[np.uint8] = np.full((240, 320, 3), 66, np.uint8)


def poisoned(images: Sequence[Any], rescan: Sequence[bool] | None = None) -> list[list[PlateRead]]:
    """Reads nothing, and fails over one image, as a backend does over one that it has no memory for."""
    if any(int(image[0, 0, 0]) == 66 for image in images):
        raise BackendError("cannot read this one")
    return [[] for _ in images]


def test_a_frame_that_the_reader_fails_on_is_that_camera_s_alone(
    dull: PlateReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dull, "read_batch", poisoned)
    failures: list[str] = []
    stop = threading.Event()
    reading = LiveReading(1, lambda stream, e: failures.append(f"{stream.source.label}: {e}"), stop)
    bad = Camera("bad", POISON, frames=20)
    good = Camera("good", frames=20)
    for camera in (bad, good):
        reading.add(Stream(dull, camera))
    seen: list[str] = []
    for step in steps_of(reading, stop):
        seen.append(f"{step.source.label}{' last' * step.is_last}")
        if seen.count("good") == 5:
            bad.image = EMPTY  # its next frames are good again
    assert failures == ["bad: cannot read this one"] * len(failures) and 5 <= len(failures) < 15
    assert seen.count("good") == 20 and seen.count("bad") == 20 - len(failures)
    assert {"good last", "bad last"} <= set(seen)


def test_a_tracker_that_fails_is_that_camera_s_alone(
    dull: PlateReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures: list[str] = []
    reading = LiveReading(1, lambda stream, e: failures.append(f"{stream.source.label}: {e!r}"))
    streams = [Stream(dull, Camera(name, frames=5)) for name in ("bad", "good")]

    def fail(*_: object, **__: object) -> None:
        raise ValueError("this one")

    monkeypatch.setattr(streams[0].tracker, "update", fail)
    for stream in streams:
        reading.add(stream)
    seen = [step.source.label for step in reading.steps()]
    assert failures == ["bad: ValueError('this one')"] * 5 and seen.count("good") == 6


def test_a_reader_that_can_read_nothing_any_more_ends_all(
    dull: PlateReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dull, "read_batch", poisoned)
    clock = count(1000.0, 0.3)  # goes on with each look, and not with a busy machine
    monkeypatch.setattr(live_reading, "_HOPELESS", 1.0)
    monkeypatch.setattr(live_reading, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    failures: list[Exception] = []
    reading = LiveReading(1, lambda stream, e: failures.append(e), endless=True)
    for name in ("one", "two"):
        reading.add(Stream(dull, Camera(name, POISON)))
    with pytest.raises(BackendError, match="cannot read this one"):
        list(reading.steps())
    assert len(failures) > 2


def test_where_nobody_takes_failures_the_first_is_raised(
    dull: PlateReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dull, "read_batch", poisoned)
    reading = LiveReading(1)
    reading.add(Stream(dull, Camera("bad", POISON)))
    with pytest.raises(BackendError):
        list(reading.steps())


def test_reads_that_do_not_count_are_no_vehicles(reader: PlateReader, plate_scene: Scene) -> None:
    def left(read: PlateRead, image: NDArray[np.uint8]) -> bool:
        assert image.shape == (240, 320, 3)
        return bool(read.corners.mean(axis=0)[0] < 120)

    for x, count_ in ((10, 2), (150, 0)):
        reading = LiveReading(1)
        reading.add(Stream(reader, Camera("one", plate_scene(TEXT, x), frames=3), accepts=left))
        steps = list(reading.steps())
        assert sum(len(step.events) for step in steps) == count_
        assert {len(step.reads) for step in steps if step.frame is not None} == {int(count_ > 0)}


def test_each_stream_may_decide_in_its_own_time(dull: PlateReader, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = dull
    monkeypatch.setattr(
        reader, "read_batch", lambda images, rescan=None: [looks.pop() if looks else [] for _ in images]
    )
    # One look alone, which is not sure enough to be told at once, and a plate that is missed for long.
    once = {"min_confidence": 1.0, "min_reads": 1, "max_gap": 10.0}
    tracking = reader.tracking.changed({"max_delay": 5.0} | once)
    told = {}
    for name, settings in (("patient", tracking), ("hasty", tracking.changed({"max_delay": 0.3}))):
        looks = [[read(TEXT, score=0.9)]]
        reading = LiveReading(1)
        camera = Camera(name, frames=30)
        reading.add(Stream(reader, camera, tracking=settings))
        told[name] = next(step.frame for step in reading.steps() if step.events)
    assert told["patient"] is None  # not within three seconds: with its end
    hasty = told["hasty"]
    assert hasty is not None and hasty.time is not None and hasty.time < 1
