"""Videos whose frames are not all looked at: the same vehicles, and less work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_lpr.io.capture_options import CaptureOptions
from edge_lpr.io.frames import Frame
from edge_lpr.io.sources import open_source
from edge_lpr.pipeline.looks import Seen
from edge_lpr.pipeline.reader import PlateReader
from edge_lpr.pipeline.stream import FrameResult, Stream

Scene = Callable[..., NDArray[np.uint8]]
TEXT = "皖A13H25"
FPS = 25
SMALL = {"det_limit_side_len": 320, "det_limit_type": "max"}


@pytest.fixture(scope="module")
def gated() -> Iterator[PlateReader]:
    with PlateReader(settings=SMALL, threads=1) as opened:
        yield opened


def write(path: Path, frames: list[NDArray[np.uint8]], fps: float = FPS) -> Path:
    size = (frames[0].shape[1], frames[0].shape[0])
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), fps, size)
    for frame in frames:
        writer.write(frame)
    writer.release()
    return path


def car(scene: Scene, x: int) -> NDArray[np.uint8]:
    """A grey street, 640×360, with a dark car whose plate begins at x; none where x is below 0."""
    image = np.full((360, 640, 3), 110, np.uint8)
    if x >= 0:
        image[100:330, max(x - 60, 0) : x + 220] = (70, 60, 60)
        plate = scene()[90:141, 80:240]
        shown = plate[:, : max(0, 640 - x)]
        image[200:251, x : x + shown.shape[1]] = shown
    return image


def steps_of(reader: PlateReader, video: Path, **options: Any) -> list[FrameResult]:
    with open_source(video, CaptureOptions(**options)) as source:
        stream = Stream(reader, source)
        return [*stream, stream.flush()]


def events_of(steps: list[FrameResult]) -> list[tuple[str, float, float]]:
    return [(e.text, e.first_seen, e.last_seen) for step in steps for e in step.events]


@pytest.fixture
def passing(tmp_path: Path, plate_scene: Scene) -> Path:
    """A car that comes, stands for two seconds, and goes on."""
    way = (
        [-1] * 10
        + [60 + 8 * n for n in range(20)]
        + [220] * 50
        + [220 + 8 * n for n in range(20)]
        + [-1] * 50
    )
    return write(tmp_path / "passing.avi", [car(plate_scene, x) for x in way])


def test_a_car_that_stops_is_one_event_with_a_fraction_of_the_looks(
    gated: PlateReader, passing: Path
) -> None:
    steps = steps_of(gated, passing)
    ((text, first, last),) = events_of(steps)
    assert text == TEXT and first == pytest.approx(0.4, abs=0.2) and last == pytest.approx(99 / 25, abs=0.2)
    looks = [step.look for step in steps if step.look is not None]
    assert len(looks) == 150 and sum(look.share for look in looks) < 0.2 * len(looks)
    # Where it stands, nothing is looked at but once a second, and it is still in view.
    standing = steps[40:78]
    assert sum(bool(step.look.held) for step in standing if step.look) >= len(standing) - 3
    assert all([read.text for read in step.known or ()] == [TEXT] for step in standing)
    # In the same way each time.
    assert events_of(steps_of(gated, passing)) == [(text, first, last)]


def test_a_passage_begins_and_ends_as_without_the_gate_however_seldom_is_looked(
    tmp_path: Path, plate_scene: Scene
) -> None:
    def bare(x: int) -> NDArray[np.uint8]:
        image = car(plate_scene, x)
        image[200:251, x : x + 160] = image[190, x]
        return image

    # It comes without a plate, and has one of a sudden.
    way = [bare(60 + 12 * n) for n in range(11)]
    way += [car(plate_scene, 60 + 12 * n) for n in range(11, 32)] + [car(plate_scene, -1)] * 40
    video = write(tmp_path / "quick.avi", way)
    with PlateReader(settings={**SMALL, "gate": "off"}, threads=1) as off:
        ((expected, first, last),) = events_of(steps_of(off, video))
    with PlateReader(settings={**SMALL, "look_interval": 0.28}, threads=1) as seldom:
        steps = steps_of(seldom, video)
    ((text, begun, ended),) = events_of(steps)
    assert text == expected == TEXT
    assert (begun, ended) == pytest.approx((first, last), abs=1.5 / FPS)
    # It was found some frames later, and then before.
    seen = next(step for step in steps if step.reads)
    assert seen.frame is not None and seen.look is not None
    assert seen.frame.index >= 13 and seen.look.back > 1
    assert f"{seen.look.back} windows back" in str(seen.look)
    assert sum(step.look.back for step in steps if step.look is not None) < 0.5 * len(steps)


def test_boxes_move_on_between_looks(gated: PlateReader, passing: Path) -> None:
    steps = steps_of(gated, passing)[14:28]
    unread = [step for step in steps if not step.reads and step.known]
    assert unread
    for step in unread:
        assert step.frame is not None and step.known is not None
        true = 60 + 8 * (step.frame.index - 10)
        assert step.known[0].corners[:, 0].min() == pytest.approx(true, abs=12)


def test_a_plate_that_stands_does_not_time_out(tmp_path: Path, plate_scene: Scene) -> None:
    video = write(tmp_path / "parked.avi", [car(plate_scene, 200)] * 40, fps=10)
    with PlateReader(settings={**SMALL, "max_gap": 0.3, "full_look": 60.0}, threads=1) as reader:
        steps = steps_of(reader, video)
    assert events_of(steps) == [(TEXT, 0.0, pytest.approx(3.9))]
    assert sum(step.look.windows is None for step in steps if step.look) <= 2
    # It stands as it was read, so there is nothing to look back for.
    assert sum(step.look.back for step in steps if step.look) == 0


def test_a_stride_and_frames_far_apart_are_read_as_a_whole(
    gated: PlateReader, tmp_path: Path, plate_scene: Scene
) -> None:
    shown = [car(plate_scene, 40 + 50 * n) for n in range(6)] + [car(plate_scene, -1)] * 3
    steps = steps_of(gated, write(tmp_path / "slow.avi", shown, fps=2))
    assert [(text, last) for text, _, last in events_of(steps)] == [(TEXT, pytest.approx(2.5))]
    assert all(step.look.windows is None for step in steps[:6] if step.look)
    quick = write(tmp_path / "quick.avi", [car(plate_scene, 40 + 4 * n) for n in range(60)], fps=12)
    assert [e[0] for e in events_of(steps_of(gated, quick, stride=6))] == [TEXT]


@pytest.mark.parametrize(
    ("rotate", "flip", "turn"), [("90", False, cv2.ROTATE_90_COUNTERCLOCKWISE), ("0", True, None)]
)
def test_windows_are_turned_as_frames_are(
    tmp_path: Path, plate_scene: Scene, rotate: str, flip: bool, turn: int | None
) -> None:
    shown = [car(plate_scene, 60 + 8 * n) for n in range(25)]
    turned = [
        image[:, ::-1] if flip else np.asarray(cv2.rotate(image, turn or 0), np.uint8) for image in shown
    ]
    video = write(tmp_path / "turned.avi", [np.ascontiguousarray(image) for image in turned])
    with PlateReader(settings={**SMALL, "rotate": rotate, "flip": flip}, threads=1) as reader:
        steps = steps_of(reader, video)
    ((text, first, last),) = events_of(steps)
    assert (text, first) == (TEXT, 0.0) and last == pytest.approx(24 / 25, abs=0.2)
    assert sum(step.look.windows is None for step in steps if step.look) < 5


def test_all_is_looked_at_where_frames_are_read_several_at_once_or_that_was_asked_for(
    gated: PlateReader,
    a_source: Callable[..., Any],
    a_frame: Callable[..., Frame],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def is_gated(reader: PlateReader, track: bool = True, **source: Any) -> bool:
        stream, frame = Stream(reader, a_source(**source), track), a_frame()
        return stream.step(frame, Seen(stream.look(frame))).look is not None

    assert is_gated(gated) and is_gated(gated, live=True)
    assert not is_gated(gated, track=False)
    with PlateReader(settings={**SMALL, "gate": "off"}, threads=1) as off:
        assert not is_gated(off)
    backend = gated.detector.backend
    for owner, name, value in (
        (gated, "workers", 2),
        (backend, "preferred_batch", 8),
        (backend, "sizes", ((320, 320),)),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, value)
            assert not is_gated(gated)


def test_a_camera_that_is_not_kept_up_with_is_looked_at_less(
    gated: PlateReader, a_source: Callable[..., Any], plate_scene: Scene
) -> None:
    def looks(dropped: int) -> int:
        source = a_source(live=True)
        stream = Stream(gated, source)
        whole = 0
        for n in range(5 * 10):
            source.dropped += dropped
            image = car(plate_scene, -1)
            image[0:20, 0 : 20 + n] = 200
            whole += stream.look(Frame(image, n, n / 10, "cam")).windows is None
        return whole

    assert looks(0) == 5 and looks(3) <= 3
