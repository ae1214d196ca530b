"""Where plates are looked for: in the whole picture, smaller, on its sides, and as it is told."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest

from edge_lpr import PlateReader
from edge_lpr.geometry import whole
from edge_lpr.pipeline.db_postprocess import Box
from edge_lpr.pipeline.looks import Look
from edge_lpr.types import Image


def test_corners_are_the_plates_own_whichever_way_it_reads_better(
    street_image: Image, shipped_reader: PlateReader
) -> None:
    own = [box.quad.tolist() for box in shipped_reader.detector.detect(street_image) if box.quad is not None]
    reads = shipped_reader.read(street_image)
    assert len(reads) == 2
    assert all(read.corners.tolist() in own for read in reads)


def test_crops_only_searches_for_nothing(
    street_image: Image, shipped_reader: PlateReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    (read, *_) = shipped_reader.read(street_image)
    x0, y0 = read.corners.min(axis=0).astype(int) - 2
    x1, y1 = read.corners.max(axis=0).astype(int) + 2
    # Nearly a square, as no plate is: only the word of who knows says that it is one.
    crop = cv2.resize(street_image[y0:y1, x0:x1], (110, 96))
    with PlateReader(threads=2, settings={"crops_only": True}) as trusting:
        monkeypatch.setattr(trusting.detector, "detect_batch", lambda *_: pytest.fail("searched"))
        (found,) = trusting.read(crop)
        assert found.text == read.text and found.corners.tolist() == [[0, 0], [110, 0], [110, 96], [0, 96]]
        assert [[r.text for r in reads] for reads in trusting.read_batch([crop, crop], [True, False])] == [
            [read.text],
            [read.text],
        ]
        assert trusting.read(np.full((480, 640, 3), 128, np.uint8)) == []
        (same,) = trusting.read_crops([crop])
        assert same is not None and same.text == read.text


def test_a_plate_that_fills_the_picture_is_found_by_searching_again(plate_scene: Any) -> None:
    plate = plate_scene("皖A13H25")[80:151, 70:250]
    image = cv2.resize(plate, None, fx=10, fy=10, interpolation=cv2.INTER_CUBIC)
    with PlateReader(settings={"rescan_side": 0}) as once:
        assert once.read_batch([image], [True]) == [[]]
    with PlateReader() as reader:
        (read,) = reader.read(image)
        assert read.text == "皖A13H25"
        assert reader.read_batch([image, image], [False, True])[0] == []
        # No larger than the first size of the second search, and yet found at the next.
        small = cv2.resize(image, (300, 118), interpolation=cv2.INTER_AREA)
        assert [read.text for read in reader.read_batch([small], [True])[0]] == ["皖A13H25"]
    with PlateReader(settings={"rescan_score": 1.0}) as surer:
        assert surer.read_batch([image], [True]) == [[]]


@pytest.mark.parametrize("turn", [cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_90_COUNTERCLOCKWISE])
def test_a_picture_on_its_side_is_read_and_a_frame_as_it_is_told(
    street_image: Image, shipped_reader: PlateReader, turn: int
) -> None:
    upright = {r.text: r for r in shipped_reader.read(street_image)}
    turned = np.asarray(cv2.rotate(street_image, turn), np.uint8)
    found = {r.text: r for r in shipped_reader.read(turned)}
    assert set(found) == set(upright)
    for text, read in found.items():
        high, wide = np.ptp(read.corners, axis=0)[::-1]
        assert high > 2 * wide, text
    (frame,) = shipped_reader.read_batch([turned], [True])
    assert {r.text for r in frame} < set(upright)
    back = "270" if turn == cv2.ROTATE_90_CLOCKWISE else "90"
    with PlateReader(settings={"rotate": back}) as told:
        assert {r.text for r in told.read_batch([turned], [True])[0]} == set(upright)
    with PlateReader(settings={"rotate": "0"}) as never:
        assert {r.text for r in never.read(turned)} < set(upright)


def test_a_mirrored_picture_is_read_where_it_is_told(
    street_image: Image, shipped_reader: PlateReader
) -> None:
    upright = {r.text: r for r in shipped_reader.read(street_image)}
    mirrored = np.ascontiguousarray(street_image[:, ::-1])
    assert shipped_reader.read(mirrored) == []
    with PlateReader(settings={"flip": True}) as told:
        found = {r.text: r for r in told.read(mirrored)}
    assert set(found) == set(upright)
    for text, read in found.items():
        x = street_image.shape[1] - upright[text].corners[:, 0]
        # The first corner is where the text begins, in the mirrored picture at its right.
        assert np.abs(read.corners[:, 0] - x).max() < 1


def test_a_picture_that_is_only_a_plate_is_read_as_one(shipped_reader: PlateReader, plate_scene: Any) -> None:
    for text, height in (("皖A13H25", 71), ("皖A13H25", 24), ("皖A13H25", 400)):
        plate = plate_scene(text)[80:151, 70:250]
        picture = cv2.resize(plate, (round(180 * height / 71), height), interpolation=cv2.INTER_AREA)
        (read,) = shipped_reader.read(picture)
        assert read.text == text


def test_two_rows_are_unfolded_out_of_every_outline(
    shipped_reader: PlateReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_lpr.finetune.synthesis.render.plate import render_plate
    from edge_lpr.finetune.synthesis.render.text import SyntheticPlate

    plate = render_plate(SyntheticPlate("浙A3M177", "yellow", 2), np.random.default_rng(7), 80)
    # The detector's quadrilateral holds the lower row alone, which reads well as it is, but as no plate.
    lower = whole(plate)
    lower[:2, 1] = 20
    box = Box(whole(plate), lower, 0.9)
    monkeypatch.setattr(shipped_reader.detector, "detect_batch", lambda images, *_: [[box] for _ in images])
    (read,) = shipped_reader.read_batch([plate], [False])[0]
    assert (read.text, read.kind) == ("浙A3M177", "yellow")


def test_a_look_at_all_of_a_frame_reads_it_as_a_frame_is_read(
    street_image: Image, shipped_reader: PlateReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    (whole_reads,) = shipped_reader.read_batch([street_image], [False])
    texts = [read.text for read in whole_reads]
    crops: list[int] = []
    read_crops = shipped_reader.recognizer.probabilities
    monkeypatch.setattr(
        shipped_reader.recognizer, "probabilities", lambda c: [crops.append(len(c)), read_crops(c)][1]
    )
    first, second = (read.corners for read in whole_reads)
    seen = shipped_reader.read_look(street_image, Look(rescan=False, plates=(first, second)))
    assert [read.text for read in seen.reads] == texts and not seen.followed
    assert sum(crops) == 2  # one way each, as they stand
    crops.clear()
    seen = shipped_reader.read_look(street_image, Look(None, followed={7: first, 8: second}))
    # They are there, so nothing is looked for at another size.
    assert seen.reads == [] and set(seen.followed) == {7, 8} and sum(crops) == 0


def test_an_empty_frame_is_looked_at_again_where_that_is_wanted(
    shipped_reader: PlateReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides: list[int | None] = []
    detect = shipped_reader.detector.detect_batch

    def spy(images: Any, longer_side: int | None = None, *more: Any) -> Any:
        sides.extend([longer_side] * len(images))
        return detect(images, longer_side, *more)

    monkeypatch.setattr(shipped_reader.detector, "detect_batch", spy)
    grey = np.full((480, 640, 3), 128, np.uint8)
    plate = np.array([[0, 0], [90, 0], [90, 30], [0, 30]], np.float32)
    for rescan, expected in ((False, [None]), (True, [None, 320, 224])):
        sides.clear()
        assert shipped_reader.read_look(grey, Look(rescan=rescan, plates=(plate,))).reads == []
        assert sides == expected
