"""A camera as the service reads it: when, how often, what of its picture; and how it is, on the board."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.extras import reason
from helpers.reads import read
from helpers.videos import write_video
from helpers.waiting import wait_until

pytest.importorskip("pydantic", reason=reason("pydantic", "serve"))

from edge_lpr.errors import SourceError
from edge_lpr.io.frames import Frame, PolledSource
from edge_lpr.serve import camera_source
from edge_lpr.serve.board import CameraEntry
from edge_lpr.serve.camera_source import CameraSource, camera_target, is_other
from edge_lpr.serve.settings import CameraSettings

FPS = 10


class Opened(PolledSource):
    """What is opened for a camera: a frame ten times a second, by the test's clock."""

    def __init__(self, clock: Clock) -> None:
        super().__init__("inner", lambda line: None)
        self.clock = clock
        self.began = clock.now
        self.fps = FPS
        self.live = True
        self.state = "open"
        self.given = 0
        self.is_closed = False
        self.is_over = False
        self.error: SourceError | None = None
        self.image = np.full((120, 160, 3), 100, np.uint8)
        self.image[:, :80] = 200

    def read(self, wait: float = 0.0) -> Frame | None:
        if self.error is not None:
            raise self.error
        due = int((self.clock.now - self.began) * FPS + 1e-6) + 1
        if due <= self.given or self.state != "open":
            return None
        self.dropped += due - self.given - 1
        self.given = due
        return Frame(self.image.copy(), due - 1, (due - 1) / FPS, self.label, self.clock.wall())

    @property
    def ended(self) -> bool:
        return self.is_over

    def now(self) -> float | None:
        return self.clock.now - self.began

    def close(self) -> None:
        self.is_closed = True


class Clock:
    """Time, as the test has it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.day = datetime(2026, 11, 27, 6, 59, 58).astimezone()  # a Friday

    def __call__(self) -> float:
        return self.now

    def wall(self) -> float:
        return (self.day + timedelta(seconds=self.now - 1000)).timestamp()

    def today(self) -> datetime:
        return self.day + timedelta(seconds=self.now - 1000)


class Rig:
    """A camera over sources that the test has in hand."""

    def __init__(self, **settings: Any) -> None:
        self.clock = Clock()
        self.opened: list[Opened] = []
        self.told: list[str] = []
        self.refused = ""
        self.settings = CameraSettings.model_validate({"source": "rtsp://u:pw@h/1", **settings})
        self.entry = CameraEntry("gate", "h", self.clock)
        self.camera = CameraSource(
            "gate", self.settings, self.entry, self.told.append, self.clock, self.clock.today
        )

    def open(self, *_: object) -> Opened:
        if self.refused:
            raise SourceError(self.refused)
        self.opened.append(Opened(self.clock))
        return self.opened[-1]

    def frames(self, seconds: float, step: float = 0.02) -> list[Frame]:
        """Asks again and again, for so many seconds."""
        found = []
        until = self.clock.now + seconds
        while self.clock.now < until - 1e-9:
            if (frame := self.camera.read()) is not None:
                found.append(frame)
            self.clock.now += step
        return found

    @property
    def state(self) -> str:
        return self.entry.state().state


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    def made(**settings: Any) -> Rig:
        rig = Rig(**settings)
        monkeypatch.setattr(camera_source, "open_target", rig.open)
        return rig

    yield made


def test_frames_have_this_clock_and_their_own_count(make: Any) -> None:
    rig = make()
    rig.clock.now += 5
    frames = rig.frames(1.0)
    assert [frame.index for frame in frames] == list(range(10))
    times = [frame.time for frame in frames if frame.time is not None]
    assert times == pytest.approx([5 + n / FPS for n in range(10)], abs=1e-6)
    assert frames[0].name == "inner" and rig.state == "live" and rig.entry.counts.frames == 10
    assert rig.camera.now() == pytest.approx(6.0) and rig.camera.live and rig.camera.fps == FPS


def test_no_more_frames_than_wanted_and_those_left_out_are_no_drops(make: Any) -> None:
    rig = make(max_fps=4)
    frames = rig.frames(5.0)
    assert 19 <= len(frames) <= 21 and rig.camera.dropped == 0 and rig.entry.counts.dropped == 0
    # Where reading does not keep up with what is wanted, that is told.
    slow = rig.frames(6.0, step=1.0)
    assert len(slow) in (5, 6) and 12 <= rig.camera.dropped <= 18


def test_without_a_limit_what_is_passed_over_is_a_drop(make: Any) -> None:
    rig = make()
    rig.frames(3.0, step=0.5)
    assert rig.camera.dropped == rig.opened[0].dropped == 4 * 5


def test_it_is_open_by_its_schedule_alone_and_its_clock_goes_on(make: Any) -> None:
    rig = make(schedule=["Mon-Fri 07:00-07:01"])
    assert rig.frames(1.0) == [] and rig.state == "off" and rig.opened == []
    frames = rig.frames(3.0)
    assert frames and rig.state == "live" and len(rig.opened) == 1
    losses = rig.camera.losses
    rig.clock.now += 60
    assert rig.frames(2.0) == [] and rig.state == "off"
    assert rig.camera.losses == losses + 1 and not rig.camera.ended
    wait_until(lambda: rig.opened[0].is_closed)
    rig.clock.now += 3 * 86_400 - 60  # Monday
    later = rig.frames(2.0)
    assert len(rig.opened) == 2 and later[0].time is not None and frames[-1].time is not None
    assert later[0].time > frames[-1].time + 86_400
    assert [frame.index for frame in frames + later] == list(range(len(frames + later)))


def test_a_loss_is_a_loss_and_is_seen(make: Any) -> None:
    rig = make()
    rig.frames(1.0)
    inner = rig.opened[0]
    inner.state, inner.losses = "trying again", 1
    rig.camera.on_warning("gate: source lost after 10 frames (no frame for 1 s)")
    rig.frames(0.1)
    assert rig.state == "lost" and rig.camera.losses == 1 and rig.entry.counts.reconnects == 1
    assert "source lost" in rig.entry.state().about() and rig.told == [
        "gate: source lost after 10 frames (no frame for 1 s)"
    ]
    inner.state = "open"
    rig.frames(0.2)
    assert rig.state == "live" and rig.entry.state().detail == ""


def test_what_cannot_even_be_tried_is_in_error_told_once_and_tried_again(make: Any) -> None:
    rig = make()
    rig.refused = "gate: this OpenCV has no GStreamer"
    rig.frames(100.0, step=1.0)
    assert rig.state == "error" and rig.told == ["gate: this OpenCV has no GStreamer"]
    rig.refused = ""
    assert rig.frames(40.0, step=1.0) and rig.state == "live"


def test_a_source_that_is_given_up_is_opened_anew(make: Any) -> None:
    rig = make()
    rig.frames(1.0)
    rig.opened[0].error = SourceError("gate: opened, but no frame of it can be decoded")
    rig.frames(0.1)
    assert rig.state == "error" and not rig.camera.ended and rig.camera.losses == 1
    assert rig.frames(40.0, step=0.5) and len(rig.opened) == 2


def test_a_video_that_is_over_has_ended(make: Any) -> None:
    rig = make()
    rig.frames(0.5)
    rig.opened[0].is_over = True
    rig.frames(0.2)
    assert rig.camera.ended and rig.state == "ended"


def test_it_is_turned_and_mirrored_before_it_is_masked(make: Any) -> None:
    left = [[0, 0], [0.25, 0], [0.25, 1], [0, 1]]
    (frame, *_) = make(masks=[left]).frames(0.1)
    assert frame.image.shape == (120, 160, 3)
    assert (frame.image[:, :39] == 0).all() and (frame.image[:, 42:80] == 200).all()
    (frame, *_) = make(masks=[left], rotate="90").frames(0.1)
    assert frame.image.shape == (160, 120, 3) and (frame.image[:, :29] == 0).all()
    assert (frame.image[:79, 32:] == 200).all() and (frame.image[81:, 32:] == 100).all()
    (frame, *_) = make(masks=[left], flip=True).frames(0.1)
    assert (frame.image[:, :39] == 0).all() and (frame.image[:, 42:79] == 100).all()


def test_a_mask_fits_whatever_size_the_camera_changes_to(make: Any) -> None:
    rig = make(masks=[[[0, 0], [1, 0], [1, 0.5], [0, 0.5]]])
    rig.frames(0.2)
    rig.opened[0].image = np.full((60, 40, 3), 90, np.uint8)
    (frame, *_) = rig.frames(0.2)
    assert (frame.image[:29] == 0).all() and (frame.image[32:] == 90).all()
    assert rig.entry.state().width == 40


def test_plates_count_where_they_are_wanted_and_wide_enough(make: Any) -> None:
    image = np.zeros((400, 800, 3), np.uint8)
    inside, outside = (
        read("A", 100, 100),
        read("A", 500, 100),
    )  # 120 pixels wide, their middles at 160 and 560
    rig = make(regions=[[[0, 0], [0.25, 0], [0.25, 1]], [[0.9, 0.9], [1, 0.9], [1, 1]]])
    assert rig.camera.accepts(inside, image) and not rig.camera.accepts(outside, image)
    assert make().camera.accepts(outside, image)
    assert make(min_plate_width=120).camera.accepts(outside, image)
    assert not make(min_plate_width=121).camera.accepts(outside, image)


def test_settings_that_need_no_opening_are_heeded_while_it_runs(make: Any) -> None:
    rig = make()
    rig.frames(0.5)
    for changes in ({"max_fps": 1.0}, {"masks": [[[0, 0], [1, 0], [1, 1]]]}, {"schedule": ["Sat"]}):
        assert not is_other(rig.settings.model_copy(update=changes), rig.settings)
    for changes in ({"source": "0"}, {"transport": "udp"}, {"rotate": "90"}, {"timeout": 3.0}):
        assert is_other(rig.settings.model_copy(update=changes), rig.settings)
    rig.camera.change(rig.settings.model_copy(update={"masks": [[(0, 0), (1, 0), (1, 1), (0, 1)]]}))
    assert (rig.frames(0.2)[0].image == 0).all() and len(rig.opened) == 1
    rig.camera.change(rig.settings.model_copy(update={"schedule": ["Sat"]}))
    rig.frames(0.1)
    assert rig.state == "off"


def test_what_is_opened_for_each_kind_of_source(tmp_path: Path) -> None:
    video = write_video(tmp_path / "v.mp4", 3)

    def target(**settings: Any) -> Any:
        return camera_target("gate", CameraSettings.model_validate(settings))

    film = target(source=str(video), loop=True)
    assert (film.kind, film.label, film.address, film.loop) == ("video", "gate", str(video.resolve()), True)
    assert target(source="0").kind == "camera" and target(source="0").label == "gate"
    address = target(source="rtsp://u:pw@h/1")
    assert (address.kind, address.label) == ("address", "gate") and "pw" not in repr(address)


def test_a_real_video_is_live(tmp_path: Path) -> None:
    video = write_video(tmp_path / "v.mp4", 6)
    settings = CameraSettings(source=str(video))
    entry, told = CameraEntry("gate", "v"), list[str]()
    camera = CameraSource("gate", settings, entry, told.append)
    frames: list[Frame] = []

    def over() -> bool:
        if (frame := camera.read()) is not None:
            frames.append(frame)
        return camera.ended

    wait_until(over)
    camera.close()
    assert frames and frames[0].wall is not None and entry.state().state == "ended" and told == []
    assert entry.jpeg() is not None
