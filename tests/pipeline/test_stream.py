"""Reading sources with the default bundle."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_lpr.errors import SourceError
from edge_lpr.io.capture_options import CaptureOptions
from edge_lpr.io.frames import Frame, Source
from edge_lpr.io.sources import open_source
from edge_lpr.pipeline.reader import PlateReader
from edge_lpr.pipeline.stream import Stream

Scene = Callable[..., NDArray[np.uint8]]
TEXT = "皖A13H25"


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
