"""The reader with the embedded bundle, on rendered samples and on real plates."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import edge_lpr
from edge_lpr import PlateReader
from edge_lpr.backends import open_models
from edge_lpr.bundle import load_bundle
from edge_lpr.errors import BackendError, BundleError, SettingError
from edge_lpr.geometry import whole
from edge_lpr.pipeline.db_postprocess import Box
from edge_lpr.types import Image

SAMPLES = Path(__file__).parents[2] / "samples"


@pytest.fixture(scope="module")
def reader() -> Iterator[PlateReader]:
    with PlateReader(threads=2) as opened:
        yield opened


def make_image(path: Path) -> np.ndarray[Any, np.dtype[np.uint8]]:
    image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    assert image is not None
    return np.asarray(image, np.uint8)


def test_the_public_names_are_documented_and_few() -> None:
    assert len(edge_lpr.__all__) <= 8
    assert all(getattr(edge_lpr, name).__doc__ for name in edge_lpr.__all__)


def test_reads_the_sample_image(reader: PlateReader) -> None:
    truth = json.loads((SAMPLES / "street.json").read_text(encoding="utf-8"))["street.jpg"]["plates"]
    reads = reader.read(make_image(SAMPLES / "street.jpg"))
    assert {r.text: r.kind for r in reads} == {p["text"]: p["kind"] for p in truth}
    for read in reads:
        assert read.corners.shape == (4, 2)
        assert read.corners.dtype == np.float32
        assert len(read.char_scores) == len(read.text)
        assert 0 < read.min_score <= read.score <= 1
        expected = np.array(next(p["corners"] for p in truth if p["text"] == read.text))
        assert np.abs(read.corners - expected).max() < 5


def test_corners_are_the_plates_own_whichever_way_it_reads_better(reader: PlateReader) -> None:
    image = make_image(SAMPLES / "street.jpg")
    own = [box.quad.tolist() for box in reader.detector.detect(image) if box.quad is not None]
    reads = reader.read(image)
    assert len(reads) == 2
    assert all(read.corners.tolist() in own for read in reads)


def test_an_upside_down_image_is_read_with_its_corners_turned(reader: PlateReader) -> None:
    image = make_image(SAMPLES / "street.jpg")
    height, width = image.shape[:2]
    upright = {r.text: r for r in reader.read(image)}
    turned = {r.text: r for r in reader.read(np.ascontiguousarray(image[::-1, ::-1]))}
    assert set(turned) == set(upright)
    for text, read in turned.items():
        assert np.abs(np.array([width, height]) - read.corners - upright[text].corners).max() < 8


@pytest.mark.parametrize("right", [787, 791])
def test_a_blurred_plate_that_leaves_the_picture_is_not_reported_as_a_shorter_one(
    reader: PlateReader, right: int
) -> None:
    # Without its last character a green plate has the text of a blue one.
    image = cv2.GaussianBlur(make_image(SAMPLES / "street.jpg")[:, :right], (0, 0), 1.5)
    assert {read.text for read in reader.read(np.asarray(image, np.uint8))} <= {"苏E7K52M"}


def test_a_batch_reads_what_single_images_read(reader: PlateReader) -> None:
    image = make_image(SAMPLES / "street.jpg")
    blank = np.full((300, 400, 3), 90, np.uint8)
    texts = [[r.text for r in reads] for reads in reader.read_batch([blank, image, blank])]
    assert texts == [[], [r.text for r in reader.read(image)], []]
    assert reader.read_batch([]) == []


def text_image(text: str) -> np.ndarray[Any, np.dtype[np.uint8]]:
    image = np.full((200, 640, 3), 255, np.uint8)
    cv2.putText(image, text, (40, 120), cv2.FONT_HERSHEY_SIMPLEX, 2, (0, 0, 0), 4)
    return image


@pytest.mark.parametrize("workers", [1, 3])
def test_batches_are_read_in_their_order(
    reader: PlateReader, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    image = make_image(SAMPLES / "street.jpg")
    batches = [[image, image[:, : 40 * n]] for n in range(10, 13)]
    expected = [[[r.text for r in reads] for reads in reader.read_batch(batch)] for batch in batches]
    assert reader.workers == 1  # on a CPU
    monkeypatch.setattr(reader, "workers", workers)
    found = reader.read_batches(iter(batches))
    assert [[[r.text for r in reads] for reads in batch] for batch in found] == expected


def test_what_reads_better_as_text_is_shown_only_on_request(reader: PlateReader) -> None:
    image = text_image("WELCOME HOME")
    assert reader.read(image) == []
    assert reader.read_crops([image[60:140]]) == [None]
    with PlateReader(any_text=True, threads=2) as curious:
        (read,) = curious.read_crops([image[60:140]])
        assert read is not None
        assert read.kind == "text"
        assert len(read.text) == len(read.char_scores) > 0


def test_read_crops_gives_one_answer_a_crop(reader: PlateReader) -> None:
    image = make_image(SAMPLES / "street.jpg")
    whole = reader.read(image)
    x0, y0 = whole[0].corners.min(axis=0).astype(int) - 2
    x1, y1 = whole[0].corners.max(axis=0).astype(int) + 2
    crop = image[y0:y1, x0:x1]
    first, second = reader.read_crops([crop, np.full((24, 90, 3), 128, np.uint8)])
    assert first is not None
    assert first.text == whole[0].text
    assert first.corners.tolist() == [[0, 0], [crop.shape[1], 0], list(crop.shape[1::-1]), [0, crop.shape[0]]]
    assert second is None


def test_crops_only_searches_for_nothing(reader: PlateReader, monkeypatch: pytest.MonkeyPatch) -> None:
    image = make_image(SAMPLES / "street.jpg")
    (read, *_) = reader.read(image)
    x0, y0 = read.corners.min(axis=0).astype(int) - 2
    x1, y1 = read.corners.max(axis=0).astype(int) + 2
    # Nearly a square, as no plate is: only the word of who knows says that it is one.
    crop = cv2.resize(image[y0:y1, x0:x1], (110, 96))
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


@pytest.mark.parametrize("shape", [(1, 1), (200, 3), (3, 200), (16, 4000)])
def test_images_of_odd_sizes_are_read_without_a_plate(reader: PlateReader, shape: tuple[int, int]) -> None:
    assert reader.read(np.zeros((*shape, 3), np.uint8)) == []


@pytest.mark.parametrize(
    "wrong", [np.zeros((9, 9, 2), np.uint8), np.zeros((9, 9, 3)), np.zeros(9, np.uint8), 7, b"a.jpg"]
)
def test_what_is_no_image_is_named(reader: PlateReader, wrong: Any) -> None:
    with pytest.raises(SettingError, match=r"expected a path, a Pillow image, or an array of uint8"):
        reader.read(wrong)


@pytest.mark.parametrize(
    ("options", "error", "named"),
    [
        ({"precision": "int4"}, SettingError, "int4"),
        ({"backend": "openvino"}, SettingError, "openvino"),
        ({"threads": 0}, SettingError, "threads"),
        ({"min_score": 1.5}, SettingError, "min_score"),
        ({"format_prior": -1.0}, SettingError, "format_prior"),
        ({"settings": {"box_tresh": 0.5}}, SettingError, "box_tresh"),
        ({"bundle": "no/such/bundle"}, BundleError, "no such folder"),
    ],
)
def test_a_wrong_argument_is_named(options: dict[str, Any], error: type[Exception], named: str) -> None:
    with pytest.raises(error, match=named):
        PlateReader(**options)


def test_closed_twice_and_then_refuses() -> None:
    reader = PlateReader(threads=1)
    assert "fp32" in reader.description
    reader.close()
    reader.close()
    with pytest.raises(BackendError, match="closed"):
        reader.read(np.zeros((64, 64, 3), np.uint8))


def test_real_crops(reader: PlateReader, shared_data: Path) -> None:
    crops = sorted((shared_data / "crops").iterdir())[::10]
    right = sum(
        read is not None and read.text == path.stem.split("_")[0]
        for path, read in zip(crops, reader.read_crops([make_image(p) for p in crops]), strict=True)
    )
    assert right / len(crops) >= 0.94


def test_real_scenes_and_negatives(reader: PlateReader, shared_data: Path) -> None:
    labels = defaultdict(set)
    with (shared_data / "plates.csv").open(encoding="utf-8-sig", newline="") as rows:
        for row in csv.DictReader(rows):
            labels[row["file"]].add(row["label"])
    found = 0
    for file, texts in labels.items():
        folder = file.split("/")[0]
        if folder == "negatives":
            assert reader.read(make_image(shared_data / file)) == []
        elif folder == "ccpd":
            found += bool(texts & {r.text for r in reader.read(make_image(shared_data / file))})
    assert found >= 20


@pytest.mark.parametrize(
    "other", [{"backend": "onnxruntime"}, {"precision": "fp32"}, {"threads": 1}, {"options": {}}]
)
def test_models_of_ones_own_go_with_no_choice_of_models(other: dict[str, Any]) -> None:
    opened = open_models(load_bundle())
    with pytest.raises(SettingError, match="models are given"):
        PlateReader(models=opened, **other)
    opened.close()


@pytest.mark.parametrize(
    ("settings", "looks"),
    [
        ({"min_score": 0.0, "retry_below": 0.0}, 1),
        ({"min_score": 1.0, "retry_below": 0.0}, 2),
        ({"min_score": 0.0, "retry_below": 1.0}, 2),
    ],
    ids=["sure enough", "not to be reported", "to be looked at again"],
)
def test_what_would_not_be_reported_is_looked_at_again(
    reader: PlateReader, plate_scene: Any, settings: dict[str, float], looks: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    crop = cv2.GaussianBlur(plate_scene("皖A13H25")[90:141, 80:240], (0, 0), 2.0)
    looked: list[int] = []
    whole = reader.recognizer.probabilities
    monkeypatch.setattr(
        reader.recognizer, "probabilities", lambda crops: [looked.append(len(crops)), whole(crops)][1]
    )
    monkeypatch.setattr(reader, "settings", reader.settings.changed(settings))
    reader.read_crops([crop])
    assert sum(count > 0 for count in looked) == looks


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
def test_a_picture_on_its_side_is_read_and_a_frame_as_it_is_told(reader: PlateReader, turn: int) -> None:
    image = make_image(SAMPLES / "street.jpg")
    upright = {r.text: r for r in reader.read(image)}
    turned = np.asarray(cv2.rotate(image, turn), np.uint8)
    found = {r.text: r for r in reader.read(turned)}
    assert set(found) == set(upright)
    for text, read in found.items():
        high, wide = np.ptp(read.corners, axis=0)[::-1]
        assert high > 2 * wide, text
    (frame,) = reader.read_batch([turned], [True])
    assert {r.text for r in frame} < set(upright)
    back = "270" if turn == cv2.ROTATE_90_CLOCKWISE else "90"
    with PlateReader(settings={"rotate": back}) as told:
        assert {r.text for r in told.read_batch([turned], [True])[0]} == set(upright)
    with PlateReader(settings={"rotate": "0"}) as never:
        assert {r.text for r in never.read(turned)} < set(upright)


def test_a_mirrored_picture_is_read_where_it_is_told(reader: PlateReader) -> None:
    image = make_image(SAMPLES / "street.jpg")
    upright = {r.text: r for r in reader.read(image)}
    mirrored = np.ascontiguousarray(image[:, ::-1])
    assert reader.read(mirrored) == []
    with PlateReader(settings={"flip": True}) as told:
        found = {r.text: r for r in told.read(mirrored)}
    assert set(found) == set(upright)
    for text, read in found.items():
        x = image.shape[1] - upright[text].corners[:, 0]
        # The first corner is where the text begins, in the mirrored picture at its right.
        assert np.abs(read.corners[:, 0] - x).max() < 1


@pytest.mark.parametrize("text", ["皖A88888", "皖E88888", "川A5HQ00", "粤BNB001", "闽HB1508", "津KVR005"])
def test_a_mirrored_plate_is_not_taken_for_another(
    reader: PlateReader, plate_scene: Callable[..., Image], text: str
) -> None:
    # Upside down, the mirrored characters of these plates look like those of others.
    image = plate_scene(text)
    assert [read.text for read in reader.read(image)] == [text]
    assert reader.read(np.ascontiguousarray(image[:, ::-1])) == []
    upside_down = np.ascontiguousarray(image[::-1, ::-1])
    assert [read.text for read in reader.read(upside_down)] == [text]


def test_a_picture_that_is_only_a_plate_is_read_as_one(reader: PlateReader, plate_scene: Any) -> None:
    for text, height in (("皖A13H25", 71), ("皖A13H25", 24), ("皖A13H25", 400)):
        plate = plate_scene(text)[80:151, 70:250]
        picture = cv2.resize(plate, (round(180 * height / 71), height), interpolation=cv2.INTER_AREA)
        (read,) = reader.read(picture)
        assert read.text == text


def test_two_rows_are_unfolded_out_of_every_outline(
    reader: PlateReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    from edge_lpr.finetune.synthesis.render.plate import render_plate
    from edge_lpr.finetune.synthesis.render.text import SyntheticPlate

    plate = render_plate(SyntheticPlate("浙A3M177", "yellow", 2), np.random.default_rng(7), 80)
    # The detector's quadrilateral holds the lower row alone, which reads well as it is, but as no plate.
    lower = whole(plate)
    lower[:2, 1] = 20
    box = Box(whole(plate), lower, 0.9)
    monkeypatch.setattr(reader.detector, "detect_batch", lambda images, *_: [[box] for _ in images])
    (read,) = reader.read_batch([plate], [False])[0]
    assert (read.text, read.kind) == ("浙A3M177", "yellow")
