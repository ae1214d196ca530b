"""What is read of crops: which reading counts, what is looked at again, and what is reported."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest

from edge_lpr import PlateReader
from edge_lpr.pipeline.crop import Crop
from edge_lpr.pipeline.crop_reader import CropReader
from edge_lpr.pipeline.settings import ReadSettings
from edge_lpr.types import Image


def test_an_upside_down_image_is_read_with_its_corners_turned(
    street_image: Image, shipped_reader: PlateReader
) -> None:
    height, width = street_image.shape[:2]
    upright = {r.text: r for r in shipped_reader.read(street_image)}
    turned = {r.text: r for r in shipped_reader.read(np.ascontiguousarray(street_image[::-1, ::-1]))}
    assert set(turned) == set(upright)
    for text, read in turned.items():
        assert np.abs(np.array([width, height]) - read.corners - upright[text].corners).max() < 8


@pytest.mark.parametrize("right", [787, 791])
def test_a_blurred_plate_that_leaves_the_picture_is_not_reported_as_a_shorter_one(
    street_image: Image, shipped_reader: PlateReader, right: int
) -> None:
    # Without its last character a green plate has the text of a blue one.
    image = cv2.GaussianBlur(street_image[:, :right], (0, 0), 1.5)
    assert {read.text for read in shipped_reader.read(np.asarray(image, np.uint8))} <= {"苏E7K52M"}


def test_what_reads_better_as_text_is_shown_only_on_request(shipped_reader: PlateReader) -> None:
    image = np.full((200, 640, 3), 255, np.uint8)
    cv2.putText(image, "WELCOME HOME", (40, 120), cv2.FONT_HERSHEY_SIMPLEX, 2, (0, 0, 0), 4)
    assert shipped_reader.read(image) == []
    assert shipped_reader.read_crops([image[60:140]]) == [None]
    with PlateReader(settings={"any_text": True}, threads=2) as curious:
        (read,) = curious.read_crops([image[60:140]])
        assert read is not None
        assert read.kind == "text"
        assert len(read.text) == len(read.char_scores) > 0


@pytest.mark.parametrize(
    ("settings", "looks"),
    [
        ({"min_score": 0.0, "retry_below": 0.0}, 1),
        ({"min_score": 1.0, "retry_below": 0.0}, 2),
        ({"min_score": 0.0, "retry_below": 1.0}, 3),
    ],
    ids=["sure enough", "not to be reported", "to be looked at again"],
)
def test_what_would_not_be_reported_is_looked_at_again(
    shipped_reader: PlateReader,
    plate_scene: Any,
    settings: dict[str, float],
    looks: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image = cv2.GaussianBlur(plate_scene("皖A13H25")[90:141, 80:240], (0, 0), 2.0)
    recognizer = shipped_reader.recognizer
    looked: list[int] = []
    whole = recognizer.probabilities
    monkeypatch.setattr(
        recognizer, "probabilities", lambda crops: [looked.append(len(crops)), whole(crops)][1]
    )
    CropReader(recognizer, ReadSettings().changed(settings)).read([[Crop.of_whole(image)]])
    assert sum(count > 0 for count in looked) == looks


def counted(reader: PlateReader, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many crops are recognized together, time and again."""
    looked: list[int] = []
    whole = reader.recognizer.probabilities
    monkeypatch.setattr(
        reader.recognizer, "probabilities", lambda crops: [looked.append(len(crops)), whole(crops)][1]
    )
    return looked


def test_a_mirror_is_asked_only_where_there_is_a_plate_to_deny(
    shipped_reader: PlateReader, plate_scene: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked = counted(shipped_reader, monkeypatch)
    nothing = Crop.of_whole(plate_scene("皖A13H25")[0:51, 80:240])
    assert CropReader(shipped_reader.recognizer, ReadSettings()).read([[nothing]]) == [None]
    assert sum(looked) == 2  # as it stands, and turned round
    # A text that is no plate may be a plate's in a mirror.
    looked.clear()
    CropReader(shipped_reader.recognizer, ReadSettings().changed({"any_text": True})).read([[nothing]])
    assert sum(looked) == 3


def test_of_a_video_a_first_crop_that_is_sure_is_enough_and_what_stands_upright_is_not_turned(
    shipped_reader: PlateReader, plate_scene: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = plate_scene("皖A13H25")
    plate, half, nothing = (
        Crop.of_whole(scene[top : top + 51, 80:right]) for top, right in ((90, 240), (90, 170), (0, 240))
    )
    crops = CropReader(shipped_reader.recognizer, ReadSettings())
    looked = counted(shipped_reader, monkeypatch)

    def read(place: list[Crop], upright: bool | None) -> tuple[str | None, int]:
        looked.clear()
        (found,) = crops.read([place], None if upright is None else [upright])
        return found and found.text, sum(looked)

    assert read([plate, plate], None) == ("皖A13H25", 2)
    assert read([plate, plate], upright=False) == read([plate, plate], upright=True) == ("皖A13H25", 1)
    assert read([nothing, plate], upright=False) == ("皖A13H25", 2)
    assert read([nothing, nothing], upright=False) == (None, 4)  # and both turned round
    assert read([nothing, nothing], upright=True) == (None, 1)
    turned = plate.turned()
    assert read([turned, turned], upright=False)[0] == "皖A13H25" != read([turned, turned], upright=True)[0]
    assert read([half], upright=True)[0] is None


def test_of_a_place_s_crops_the_best_counts(shipped_reader: PlateReader, plate_scene: Any) -> None:
    scene = plate_scene("皖A13H25")
    plate, half, nothing = (Crop.of_whole(scene[90:141, 80:right]) for right in (240, 170, 81))
    crops = CropReader(shipped_reader.recognizer, ReadSettings())
    first, second, none = crops.read([[half, plate], [plate, nothing], [nothing]])
    assert first is not None and second is not None and none is None
    assert first.text == second.text == "皖A13H25"
    assert np.array_equal(first.corners, plate.corners)
    assert crops.read([]) == []


@pytest.mark.parametrize("text", ["皖A88888", "皖E88888", "川A5HQ00", "粤BNB001", "闽HB1508", "津KVR005"])
def test_a_mirrored_plate_is_not_taken_for_another(
    shipped_reader: PlateReader, plate_scene: Callable[..., Image], text: str
) -> None:
    # Upside down, the mirrored characters of these plates look like those of others.
    image = plate_scene(text)
    assert [read.text for read in shipped_reader.read(image)] == [text]
    assert shipped_reader.read(np.ascontiguousarray(image[:, ::-1])) == []
    upside_down = np.ascontiguousarray(image[::-1, ::-1])
    assert [read.text for read in shipped_reader.read(upside_down)] == [text]
