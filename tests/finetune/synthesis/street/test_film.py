from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.extras import reason

from edge_lpr.finetune.synthesis.street import art, film
from edge_lpr.plates import plate_kinds

SAMPLES = Path(__file__).parents[4] / "samples"


def test_the_committed_truth_is_that_of_the_generator() -> None:
    truth = json.loads((SAMPLES / "street.json").read_text(encoding="utf-8"))
    video = truth["street.mp4"]
    assert [p["text"] for p in video["plates"]] == [p.plate.text for p in film.STREET]
    rng = np.random.default_rng(5)
    for trajectory, plate in zip(film.STREET, video["plates"], strict=True):
        assert plate["kind"] in plate_kinds()
        assert plate["first_seen"] < plate["last_seen"] <= film.SECONDS
        vehicle = film.make_vehicle(trajectory, rng)
        for frame, corners in plate["corners"].items():
            spot = vehicle.at(trajectory, int(frame) / film.FPS)
            assert spot is not None
            assert np.abs(spot[1] - corners).max() < 0.1


def test_the_committed_video_opens_and_has_every_frame() -> None:
    capture = cv2.VideoCapture(str(SAMPLES / "street.mp4"))
    try:
        assert capture.isOpened()
        count = 0
        while True:
            ok, frame = capture.read()
            if not ok:
                break
            assert frame.shape == (art.HEIGHT, art.WIDTH, 3)
            count += 1
    finally:
        capture.release()
    assert count == round(film.SECONDS * film.FPS)
    assert (SAMPLES / "street.mp4").stat().st_size < 1_500_000


def test_plates_in_the_still_are_where_the_truth_says() -> None:
    truth = json.loads((SAMPLES / "street.json").read_text(encoding="utf-8"))["street.jpg"]
    image = cv2.imread(str(SAMPLES / "street.jpg"))
    assert image.shape == (truth["height"], truth["width"], 3)
    assert len(truth["plates"]) == 2
    for plate in truth["plates"]:
        x0, y0 = np.min(plate["corners"], axis=0).astype(int)
        x1, y1 = np.max(plate["corners"], axis=0).astype(int)
        b, g, r = np.median(image[y0 + 2 : y1 - 2, x0 + 2 : x1 - 2], axis=(0, 1))
        assert (b > r + 40) if plate["kind"] == "blue" else (g > r + 15 and g > b)


def test_the_default_bundle_reads_the_still() -> None:
    pytest.importorskip("onnxruntime", reason=reason("onnxruntime", "cpu"))
    from edge_lpr.pipeline.reader import PlateReader

    truth = json.loads((SAMPLES / "street.json").read_text(encoding="utf-8"))["street.jpg"]
    reader = PlateReader(threads=1)
    try:
        reads = reader.read(np.asarray(cv2.imread(str(SAMPLES / "street.jpg")), np.uint8))
    finally:
        reader.close()
    assert {r.text for r in reads} == {p["text"] for p in truth["plates"]}


def test_a_nearer_vehicle_hides_a_plate() -> None:
    corners = np.array([[10.0, 10.0], [60.0, 10.0], [60.0, 25.0], [10.0, 25.0]])
    cover = np.zeros((art.HEIGHT, art.WIDTH, 1), np.float32)
    assert not film._covered(corners, cover)
    cover[20:40, 55:90] = 1
    assert film._covered(corners, cover)


def test_a_plate_at_the_border_does_not_count() -> None:
    inside = np.array([[10.0, 10.0], [80.0, 10.0], [80.0, 30.0], [10.0, 30.0]])
    assert not film._outside(inside)
    assert film._outside(inside - (20, 0))
    assert film._outside(inside + np.array([0.0, art.HEIGHT - 20.0]))
    assert film._outside(inside * 0.5)


def test_a_vehicle_is_drawn_the_same_from_the_same_seed() -> None:
    first, second = (film.make_vehicle(film.STREET[0], np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(first.color, second.color)
    assert np.array_equal(first.alpha, second.alpha)
    assert first.alpha.max() == 255
    assert first.alpha[0, 0] == 0
