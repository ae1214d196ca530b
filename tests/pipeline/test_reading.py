"""Reading whole sources, and several live ones at once."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from helpers.file_server import file_server
from helpers.waiting import LONG
from numpy.typing import NDArray

from edge_lpr import PlateEvent, PlateRead
from edge_lpr.errors import SettingError, SourceError
from edge_lpr.io.capture_options import CaptureOptions
from edge_lpr.io.frames import Frame, Source
from edge_lpr.io.live_source import LiveSource
from edge_lpr.io.sources import open_source
from edge_lpr.io.targets import Target
from edge_lpr.pipeline.events import Report
from edge_lpr.pipeline.reader import PlateReader
from edge_lpr.pipeline.reading import read_live, read_sources
from edge_lpr.pipeline.stream import FrameResult, Stream

Scene = Callable[..., NDArray[np.uint8]]
TEXT = "皖A13H25"
EMPTY: NDArray[np.uint8] = np.full((240, 320, 3), 110, np.uint8)
QUICK = CaptureOptions(timeout=LONG, max_pause=0.2)


def test_events_of_any_source(reader: PlateReader, street: Path, plate_scene: Scene) -> None:
    for i, text in enumerate((TEXT, "苏CFY773")):
        cv2.imencode(".png", plate_scene(text))[1].tofile(street.parent / f"车 {i}.png")
    events = list(reader.events(street.parent))
    assert [(e.text, e.reads, e.first_frame, e.state) for e in events] == [
        (TEXT, 1, 0, "end"),
        ("苏CFY773", 1, 1, "end"),
        (TEXT, 12, 0, "end"),
    ]
    assert events[0].crop is not None and events[0].crop.shape[1] > 100
    assert len({e.id for e in events}) == 3
    assert [e.id for e in reader.events(street.parent)] == [e.id for e in events]  # the same in each run


def test_all_states_of_a_file_where_they_are_asked_for(reader: PlateReader, street: Path) -> None:
    events = list(reader.events(street, report="all"))
    assert [e.state for e in events] == ["new", "end"] and len({e.id for e in events}) == 1
    assert events[0].last_frame < events[1].last_frame and events[1].reads == 12
    assert [e.state for e in reader.events(street, report="new")] == ["new"]


def write(path: Path, frames: list[NDArray[np.uint8]], fps: float = 25) -> Path:
    code = "MJPG" if path.suffix == ".avi" else "mp4v"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), fps, (320, 240))
    for frame in frames:
        writer.write(frame)
    writer.release()
    return path


def test_a_stride_makes_no_two_vehicles_of_one(
    reader: PlateReader, tmp_path: Path, plate_scene: Scene
) -> None:
    # The fifth frame is no good: for a stride, a second and a half that show nothing.
    shown = [EMPTY if i == 4 else plate_scene(TEXT, 40 + 4 * i) for i in range(10)]
    video = write(tmp_path / "weak.avi", [*shown, EMPTY, EMPTY], fps=5)
    (every,) = reader.events(video)
    assert (every.first_frame, every.last_frame, every.reads) == (0, 9, 9)
    (fourth,) = reader.events(video, stride=4)
    assert (fourth.text, fourth.first_frame, fourth.last_frame, fourth.reads) == (TEXT, 0, 8, 2)
    assert fourth.last_seen == pytest.approx(1.6, abs=0.01)


def test_frames_two_seconds_apart_show_one_vehicle(
    reader: PlateReader, tmp_path: Path, plate_scene: Scene
) -> None:
    shown = [plate_scene(TEXT, 40 + 40 * i) for i in range(4)]
    (event,) = reader.events(write(tmp_path / "slow.mp4", shown + [EMPTY] * 7, fps=0.5))
    assert (event.reads, event.first_seen, event.last_seen) == (4, 0, pytest.approx(6.0, abs=0.01))


def test_images_have_their_own_index_with_a_stride(
    reader: PlateReader, tmp_path: Path, plate_scene: Scene
) -> None:
    for i in range(5):
        cv2.imencode(".png", plate_scene(TEXT))[1].tofile(tmp_path / f"{i}.png")
    options = CaptureOptions(stride=2)
    steps = list(read_sources(reader, tmp_path, options=options))
    assert [(Path(s.frame.name).stem, s.frame.index) for s in steps if s.frame] == [
        ("0", 0),
        ("2", 2),
        ("4", 4),
    ]
    assert [event.first_frame for event in reader.events(tmp_path, stride=2)] == [0, 2, 4]


@pytest.mark.parametrize("report", ["end", "new", "all"])
def test_provinces_that_deny_each_other_make_no_event_that_is_less_sure_than_asked(
    reader: PlateReader, tmp_path: Path, plate_scene: Scene, report: Report
) -> None:
    shown = [plate_scene(f"{'京津'[i % 2]}A13H25") for i in range(12)]
    events = list(reader.events(write(tmp_path / "two.avi", shown), report=report))
    told = {"end": [], "new": ["new"], "all": ["new", "end"]}
    assert [event.state for event in events] == told[report]
    assert all(event.min_score >= reader.settings.min_score for event in events)
    assert all(event.text == "京A13H25" for event in events)  # the first, when there was nothing against it


def test_what_a_camera_s_reads_deny_ends_as_it_was_told(
    reader: PlateReader, a_source: Callable[..., Any], plate_scene: Scene
) -> None:
    shown = [plate_scene(f"{'京津'[n % 2]}A13H25") for n in range(12)]
    frames = [Frame(image, n, n / 10, "cam", 1000 + n / 10) for n, image in enumerate(shown)]
    source = _Fed(a_source(live=True), [*((frame.time, frame) for frame in frames), (3.0, None), (3.1, None)])
    source.live = True
    events = [event for step in read_live([Stream(reader, source)]) for event in step.events]
    assert [(e.state, e.text, e.reads) for e in events] == [("new", "京A13H25", 1), ("end", "京A13H25", 12)]
    assert all(event.min_score >= reader.settings.min_score for event in events)


def test_a_camera_with_a_picture_in_two_seconds_shows_one_vehicle_from_the_first_on(
    reader: PlateReader, a_source: Callable[..., Any], plate_scene: Scene
) -> None:
    script: list[tuple[float | None, Frame | None]] = []
    for n in range(4):
        frame = Frame(plate_scene(TEXT, 40 + 20 * n), n, 2.0 * n, "cam", 1000 + 2.0 * n)
        script += (2.0 * n, frame), (2.0 * n + 1.9, None)
    source = _Fed(a_source(live=True), [*script, (30.0, None), (30.1, None)])
    source.live, source.fps = True, 0.5
    events = [event for step in read_live([Stream(reader, source)]) for event in step.events]
    assert [(e.state, e.reads) for e in events] == [("new", 1), ("end", 4)]


def test_each_frame_shows_its_vehicle_as_it_is_known(
    reader: PlateReader, tmp_path: Path, plate_scene: Scene
) -> None:
    texts = ["京A13H25", "京A13H25", "京A13H25", "津A13H25", "京A13H25"]
    steps = list(read_sources(reader, write(tmp_path / "a.avi", [plate_scene(text) for text in texts])))
    assert [[read.text for read in step.reads] for step in steps if step.frame] == [[text] for text in texts]
    assert [[read.text for read in step.known or ()] for step in steps if step.frame] == [["京A13H25"]] * 5


def test_what_cannot_be_opened_raises(reader: PlateReader, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file"):
        list(read_sources(reader, tmp_path / "none.mp4"))
    with pytest.raises(SourceError, match="cannot be opened: refused"):
        list(reader.events("rtsp://127.0.0.1:1/x", reconnect=0, timeout=LONG))
    with pytest.raises(SettingError, match="events 'some': expected end, new, all"):
        list(reader.events(tmp_path, report="some"))  # type: ignore[arg-type]


def test_several_sources_at_once(reader: PlateReader, street: Path, plate_scene: Scene) -> None:
    picture = street.with_name("车.png")
    cv2.imencode(".png", plate_scene("苏CFY773"))[1].tofile(picture)
    missing = street.with_name("none.mp4")
    told: list[tuple[str, str]] = []
    with pytest.raises(SourceError, match=r"none\.mp4: no such file"):
        told.extend((event.source, event.text) for event in reader.events(missing, street, picture))
    assert told == [(str(street), TEXT), (str(picture), "苏CFY773")]


def test_sources_that_fail_are_all_named(reader: PlateReader, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"a\.mp4: no such file.*; .*b\.mp4: no such file"):
        list(reader.events(tmp_path / "a.mp4", tmp_path / "b.mp4"))


def test_options_of_the_command_hold_for_one_call(reader: PlateReader, street: Path) -> None:
    (event,) = reader.events(street, stride=4)
    assert event.reads == 3 and event.last_frame == 8
    mirrored = reader.events(street, flip=True)
    assert [e.text for e in mirrored] != [TEXT] and not reader.settings.flip
    for wrong, told in (({"strides": 2}, "no setting 'strides'"), ({"stride": 0}, "stride is 0"),
                        ({"rotate": "45"}, "rotate is '45'")):  # fmt: skip
        with pytest.raises(SettingError, match=told):
            list(reader.events(street, **wrong))  # type: ignore[arg-type]


def test_candidates_are_there_on_request(street: Path) -> None:
    settings = {"det_limit_side_len": 256, "det_limit_type": "max", "candidates": 2, "min_score": 0.1}
    with PlateReader(settings=settings, threads=1) as wide:
        frame = next(iter(open_source(street))).image
        frame = cv2.GaussianBlur(frame, (0, 0), 4.0)
        (read,) = wide.read(frame)
        scores = [one.score for one in read.candidates]
        assert 0 < len(scores) <= 2 and scores == sorted(scores, reverse=True)
        assert read.text not in [one.text for one in read.candidates]
        (event,) = wide.events(street)
        assert event.text == TEXT and len(event.candidates) <= 2
        assert event.to_dict()["candidates"] == [one.to_dict() for one in event.candidates]


def test_live_sources_are_read_together_and_end_apart(reader: PlateReader, street: Path) -> None:
    # Files opened as live sources: they deliver as fast as they can, lose frames, and end.
    short = street.with_name("short.avi")
    writer = cv2.VideoWriter(str(short), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    for _ in range(5):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    with file_server(street.read_bytes()) as long_one, file_server(short.read_bytes()) as short_one:
        sources = [_from_file("street", long_one), _from_file("short", short_one)]
        streams = [Stream(reader, source) for source in sources]
        ended = [step.source for step in read_live(streams) if step.is_last]
    assert sorted(s.label for s in ended) == sorted(s.label for s in sources)
    assert all(source.state == "source lost" for source in sources)
    assert sources[0].dropped > 0


def test_a_car_at_a_barrier_is_new_with_its_first_frame_and_ends_by_the_clock(
    reader: PlateReader, camera: Any, plate_scene: Scene
) -> None:
    camera.image = plate_scene(TEXT)
    told: list[PlateEvent] = []
    with _camera(camera) as source:
        for result in read_live([Stream(reader, source)]):
            told += result.events
            # Not one frame more: what is known from here on, the clock alone tells.
            camera.silent = bool(told)
            if told and told[-1].state == "end":
                now = source.now()
                break
        assert result.by_clock and source.losses == 0
    new, *_, end = told
    assert (new.state, new.reads, end.state) == ("new", 1, "end") and new.text == end.text == TEXT
    assert now is not None and now - end.last_seen > reader.tracking.max_gap
    assert new.id == end.id and new.track == end.track == 1


def test_the_vehicles_of_a_lost_camera_end_at_once_and_those_of_another_go_on(
    reader: PlateReader, camera: Any, second_camera: Any, plate_scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No track ends by itself.
    monkeypatch.setattr(reader, "tracking", replace(reader.tracking, max_gap=1e6))
    camera.image = second_camera.image = plate_scene(TEXT)
    with _camera(camera) as first, _camera(second_camera) as second:
        streams = [Stream(reader, first), Stream(reader, second)]
        told: dict[str, list[str]] = {first.label: [], second.label: []}
        for result in read_live(streams):
            told[result.source.label] += [event.state for event in result.events]
            if all(states[:1] == ["new"] for states in told.values()):
                camera.plugged = False
            if "end" in told[first.label]:
                break
        assert told[second.label] == ["new"] and first.losses == 1


def test_events_of_a_camera_have_the_time_of_day(
    reader: PlateReader, camera: Any, plate_scene: Scene
) -> None:
    camera.image = plate_scene(TEXT)
    event = next(reader.events(camera.address))
    assert event.state == "new" and event.first_utc is not None and event.last_utc is not None
    assert abs(event.first_utc.timestamp() - time.time()) < LONG and event.clock_step is None


def test_a_step_of_the_clock_is_noticed(
    reader: PlateReader, camera: Any, plate_scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    camera.image = plate_scene(TEXT)
    problems: list[str] = []
    with _camera(camera, problems) as source:
        monkeypatch.setattr("edge_lpr.pipeline.live_reading.ClockWatch", _Steps)
        next(read_live([Stream(reader, source)]))
    assert problems == [
        "the clock was set back by 3600.0 s: times of day before and after that do not fit each other"
    ]


class _Steps:
    """A clock that is set back an hour when it is first looked at."""

    def __init__(self) -> None:
        self._steps = chain([-3600.0], iter(lambda: None, 0))

    def step(self) -> float | None:
        return next(self._steps)


def test_a_frame_that_waits_holds_the_clock(reader: PlateReader, a_source: Callable[..., Any]) -> None:
    # A reader slower than the gap must not end a track whose next read is waiting: the clock is asked before
    # the frame, and told only where there was none.
    asked: list[float | None] = []

    class Slow(Stream):
        def advance(self, time: float | None, losses: int) -> FrameResult:
            asked.append(time)
            return super().advance(time, losses)

    empty = [Frame(EMPTY, 0, 0.0, "cam"), None, Frame(EMPTY, 1, 2.0, "cam"), None, None]
    source = _Fed(a_source(), list(zip([0.0, 1.0, 4.0, 5.0, 6.0], empty, strict=True)))
    for _ in read_live([Slow(reader, source)]):
        pass
    assert asked == [1.0, 5.0]


def test_two_batches_of_a_camera_are_at_work_at_once_and_told_in_order(
    reader: PlateReader, a_source: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    together = threading.Barrier(2, timeout=60)  # breaks, where fewer come

    def read_batch(images: Sequence[Any], rescan: Sequence[bool] | None = None) -> list[list[PlateRead]]:
        together.wait()
        return [[] for _ in images]

    monkeypatch.setattr(reader, "workers", 4)
    monkeypatch.setattr(reader, "read_batch", read_batch)
    script = [(n / 10, Frame(EMPTY, n, n / 10, "cam")) for n in range(6)]
    streams = [Stream(reader, _Fed(a_source(), [*script, (1.0, None)])) for _ in range(2)]
    steps = list(read_live(streams))
    for stream in streams:
        own = [step for step in steps if step.source is stream.source]
        assert [step.frame.index for step in own if step.frame is not None] == list(range(6))
        assert own[-1].is_last


def test_a_loss_is_told_after_the_frames_in_hand_and_before_those_that_follow(
    reader: PlateReader, a_source: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[object] = []

    class Telling(Stream):
        def step(self, frame: Frame, reads: Sequence[PlateRead]) -> FrameResult:
            told.append(frame.index)
            return super().step(frame, reads)

        def advance(self, time: float | None, losses: int) -> FrameResult:
            told.append(f"lost {losses}" if self.missed(losses) else "clock")
            return super().advance(time, losses)

    at_work, go_on = threading.Event(), threading.Event()

    def read_batch(images: Sequence[Any], rescan: Sequence[bool] | None = None) -> list[list[PlateRead]]:
        at_work.set()
        assert go_on.wait(60)
        return [[] for _ in images]

    class Lost(_Fed):
        def read(self, wait: float = 0.0) -> Frame | None:
            frame = super().read(wait)
            if frame is None:  # once nothing came, and then the loss, both while a frame is in hand
                assert at_work.wait(60)
                if self._script and self._script[0][1] is not None:
                    self.losses += 1
                    go_on.set()
            return frame

    monkeypatch.setattr(reader, "workers", 2)
    monkeypatch.setattr(reader, "read_batch", read_batch)
    frames = [Frame(EMPTY, n, float(n), "cam") for n in range(2)]
    script = [(0.0, frames[0]), (9.0, None), (9.5, None), (10.0, frames[1]), (11.0, None), (12.0, None)]
    source = Lost(a_source(), script)
    for _ in read_live([Telling(reader, source)]):
        pass
    assert told[:3] == [0, "lost 1", 1] and set(told[3:]) <= {"clock"}


class _Fed(LiveSource):
    """Gives frames or nothing, each at its time, and ends."""

    def __init__(self, like: Source, script: Sequence[tuple[float | None, Frame | None]]) -> None:
        Source.__init__(self, like.label, like.on_warning)
        self._script = list(script)

    def now(self) -> float | None:
        return self._script[0][0]

    def read(self, wait: float = 0.0) -> Frame | None:
        return self._script.pop(0)[1]

    @property
    def ended(self) -> bool:
        return not self._script


def _from_file(label: str, address: str) -> LiveSource:
    options = CaptureOptions(reconnect=0, timeout=LONG)
    return LiveSource(Target("address", label, address=address), options, True, lambda line: None, "")


def _camera(camera: Any, problems: list[str] | None = None) -> LiveSource:
    told = [] if problems is None else problems
    target = Target("address", camera.address, address=camera.address)
    return LiveSource(target, QUICK, None, told.append, "")


@pytest.fixture
def second_camera(camera: Any) -> Iterator[Any]:
    served = type(camera)()
    yield served
    served.close()
