"""Reading sources with the default bundle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_lpr.errors import SourceError
from edge_lpr.io.capture import CaptureOptions
from edge_lpr.io.frames import Frame, Source
from edge_lpr.io.sources import find_targets, open_source
from edge_lpr.pipeline.reader import PlateReader
from edge_lpr.pipeline.stream import Stream, read_live, read_stream

Scene = Callable[..., NDArray[np.uint8]]
TEXT = "皖A13H25"


@pytest.fixture(scope="module")
def reader() -> Iterator[PlateReader]:
    # A small input keeps the tests fast; the plate is large enough for it.
    with PlateReader(settings={"det_limit_side_len": 256, "det_limit_type": "max"}, threads=1) as opened:
        yield opened


@pytest.fixture
def street(tmp_path: Path, plate_scene: Scene) -> Path:
    """Twelve frames with a plate that moves, then sixty without one: the car has passed."""
    path = tmp_path / "street.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (320, 240))
    for i in range(12):
        writer.write(plate_scene(TEXT, 40 + 4 * i))
    for _ in range(60):
        writer.write(np.full((240, 320, 3), 110, np.uint8))
    writer.release()
    return path


def test_a_video_gives_one_event_per_track(reader: PlateReader, street: Path) -> None:
    with open_source(street) as source:
        stream = Stream(reader, source)
        steps = [*stream, stream.flush()]
    assert [s.frame.index for s in steps if s.frame] == list(range(72))
    assert steps[-1].frame is None and not steps[-1].events
    events = [event for step in steps for event in step.events]
    assert [(e.text, e.kind, e.reads) for e in events] == [(TEXT, "blue", 12)]
    assert events[0].first_seen == 0 and events[0].last_seen == pytest.approx(0.44, abs=0.01)
    assert events[0].crop is not None


def test_flush_gives_who_is_still_in_view_after_an_interruption(reader: PlateReader, street: Path) -> None:
    with open_source(street) as source:
        stream = Stream(reader, source)
        for step in stream:
            if step.frame is not None and step.frame.index == 8:
                break
        events = stream.flush().events
    assert [(e.text, e.reads) for e in events] == [(TEXT, 9)]


def test_without_tracking_each_frame_gives_its_reads(reader: PlateReader, street: Path) -> None:
    with open_source(street, CaptureOptions(stride=4)) as source:
        stream = Stream(reader, source, track=False)
        steps = [*stream, stream.flush()]
    assert stream.tracker is None and not any(step.events for step in steps)
    assert [[r.text for r in s.reads] for s in steps[:4]] == [[TEXT], [TEXT], [TEXT], []]


def test_events_of_any_source(reader: PlateReader, street: Path, plate_scene: Scene) -> None:
    for i, text in enumerate((TEXT, "苏CFY773")):
        cv2.imencode(".png", plate_scene(text))[1].tofile(street.parent / f"车 {i}.png")
    events = list(reader.events(street.parent))
    assert [(e.text, e.reads, e.first_frame) for e in events] == [
        (TEXT, 1, 0),
        ("苏CFY773", 1, 1),
        (TEXT, 12, 0),
    ]
    assert events[0].crop is not None and events[0].crop.shape[1] > 100


def test_images_are_read_in_batches_and_in_order(
    reader: PlateReader, tmp_path: Path, plate_scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [TEXT, "苏CFY773", "粤BD1234"]
    for i, text in enumerate(texts):
        cv2.imencode(".png", plate_scene(text))[1].tofile(tmp_path / f"{i}.png")
    (tmp_path / "1b.png").write_bytes(b"no image")
    batches: list[int] = []
    whole = reader.read_batch
    monkeypatch.setattr(reader.detector.backend, "preferred_batch", 8)
    monkeypatch.setattr(
        reader, "read_batch", lambda images, again: [batches.append(len(images)), whole(images, again)][1]
    )
    with open_source(tmp_path, on_warning=lambda line: None) as source:
        steps = list(Stream(reader, source))
    assert batches == [3]
    assert [s.frame.name for s in steps if s.frame] == [str(tmp_path / f"{i}.png") for i in range(3)]
    assert [[r.text for r in s.reads] for s in steps][:2] == [[texts[0]], [texts[1]]]


def test_files_are_read_the_same_with_several_batches_at_work(
    reader: PlateReader, street: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read() -> list[tuple[int, list[str]]]:
        with open_source(street, CaptureOptions(stride=2)) as source:
            steps = list(Stream(reader, source))
        return [(s.frame.index, [r.text for r in s.reads]) for s in steps if s.frame]

    one_by_one = read()
    assert len(one_by_one) == 36 and one_by_one[0] == (0, [TEXT])
    monkeypatch.setattr(reader.detector.backend, "preferred_batch", 8)
    monkeypatch.setattr(reader, "workers", 3)
    assert read() == one_by_one


@pytest.mark.parametrize("batch", [1, 8])
def test_what_was_read_before_a_source_fails_is_not_lost(
    reader: PlateReader,
    monkeypatch: pytest.MonkeyPatch,
    a_source: Callable[..., Source],
    plate_scene: Scene,
    batch: int,
) -> None:
    def frames() -> Iterator[Frame]:
        for i in range(3):
            yield Frame(plate_scene(TEXT), i, i / 25, "street.mp4")
        raise SourceError("street.mp4: gone")

    source = a_source()
    monkeypatch.setattr(type(source), "__iter__", lambda self: frames())
    monkeypatch.setattr(reader.detector.backend, "preferred_batch", batch)
    seen: list[int] = []
    with pytest.raises(SourceError, match="gone"):
        seen.extend(step.frame.index for step in Stream(reader, source) if step.frame)
    assert seen == [0, 1, 2]


def test_a_source_that_is_none_raises(reader: PlateReader, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file"):
        list(read_stream(reader, tmp_path / "none.mp4"))


def test_live_sources_are_read_together_and_end_apart(reader: PlateReader, street: Path) -> None:
    # Files opened as live sources: they deliver as fast as they can, lose frames, and end.
    short = street.with_name("short.avi")
    writer = cv2.VideoWriter(str(short), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    for _ in range(5):
        writer.write(np.zeros((48, 64, 3), np.uint8))
    writer.release()
    sources = [_live(street), _live(short)]
    streams = [Stream(reader, source) for source in sources]
    ended = [step.source for step in read_live(streams) if step.frame is None]
    assert sorted(s.label for s in ended) == sorted(s.label for s in sources)
    assert all(source.state == "source lost" for source in sources)
    assert sources[0].dropped > 0


def _live(path: Path):  # noqa: ANN202 (a CaptureSource, without importing its parts)
    from edge_lpr.io.capture import CaptureSource
    from edge_lpr.io.openers import open_file

    assert find_targets(path)[0].kind == "video"
    options = CaptureOptions(reconnect=0)
    return CaptureSource(path.name, lambda: open_file(str(path)), options, True, lambda line: None, "")


def test_a_video_is_searched_again_once_a_second_and_an_image_always(
    reader: PlateReader, street: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool | None] = []
    monkeypatch.setattr(
        reader, "read_batch", lambda images, again: [asked.extend(again or [None]), [[] for _ in images]][1]
    )
    with open_source(street) as source:
        list(Stream(reader, source))
    assert [i for i, again in enumerate(asked) if again] == [0, 25, 50]
    asked.clear()
    cv2.imencode(".png", np.zeros((9, 9, 3), np.uint8))[1].tofile(tmp_path / "a.png")
    with open_source(tmp_path / "a.png") as source:
        list(Stream(reader, source))
    # A picture is searched again in every way.
    assert asked == [None]
