"""The reader with the embedded bundle, on rendered samples and on real plates."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edge_lpr
from edge_lpr import PlateReader
from edge_lpr.backends import open_models
from edge_lpr.bundle import load_bundle
from edge_lpr.errors import BackendError, BundleError, SettingError
from edge_lpr.io.image_io import read_image
from edge_lpr.types import Image

SAMPLES = Path(__file__).parents[2] / "samples"


def test_the_public_names_are_documented_and_few() -> None:
    assert len(edge_lpr.__all__) <= 8
    assert all(getattr(edge_lpr, name).__doc__ for name in edge_lpr.__all__)


def test_reads_the_sample_image(street_image: Image, shipped_reader: PlateReader) -> None:
    truth = json.loads((SAMPLES / "street.json").read_text(encoding="utf-8"))["street.jpg"]["plates"]
    reads = shipped_reader.read(street_image)
    assert {r.text: r.kind for r in reads} == {p["text"]: p["kind"] for p in truth}
    for read in reads:
        assert read.corners.shape == (4, 2)
        assert read.corners.dtype == np.float32
        assert len(read.char_scores) == len(read.text)
        assert 0 < read.min_score <= read.score <= 1
        expected = np.array(next(p["corners"] for p in truth if p["text"] == read.text))
        assert np.abs(read.corners - expected).max() < 5


def test_a_batch_reads_what_single_images_read(street_image: Image, shipped_reader: PlateReader) -> None:
    blank = np.full((300, 400, 3), 90, np.uint8)
    texts = [[r.text for r in reads] for reads in shipped_reader.read_batch([blank, street_image, blank])]
    assert texts == [[], [r.text for r in shipped_reader.read(street_image)], []]
    assert shipped_reader.read_batch([]) == []


@pytest.mark.parametrize("workers", [1, 3])
def test_batches_are_read_in_their_order(
    street_image: Image, shipped_reader: PlateReader, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    batches = [[street_image, street_image[:, : 40 * n]] for n in range(10, 13)]
    expected = [[[r.text for r in reads] for reads in shipped_reader.read_batch(batch)] for batch in batches]
    assert shipped_reader.workers == 1  # on a CPU
    monkeypatch.setattr(shipped_reader, "workers", workers)
    found = shipped_reader.read_batches(iter(batches))
    assert [[[r.text for r in reads] for reads in batch] for batch in found] == expected


def test_read_crops_gives_one_answer_a_crop(street_image: Image, shipped_reader: PlateReader) -> None:
    whole = shipped_reader.read(street_image)
    x0, y0 = whole[0].corners.min(axis=0).astype(int) - 2
    x1, y1 = whole[0].corners.max(axis=0).astype(int) + 2
    crop = street_image[y0:y1, x0:x1]
    first, second = shipped_reader.read_crops([crop, np.full((24, 90, 3), 128, np.uint8)])
    assert first is not None
    assert first.text == whole[0].text
    assert first.corners.tolist() == [[0, 0], [crop.shape[1], 0], list(crop.shape[1::-1]), [0, crop.shape[0]]]
    assert second is None


@pytest.mark.parametrize("shape", [(1, 1), (200, 3), (3, 200), (16, 4000)])
def test_images_of_odd_sizes_are_read_without_a_plate(
    shipped_reader: PlateReader, shape: tuple[int, int]
) -> None:
    assert shipped_reader.read(np.zeros((*shape, 3), np.uint8)) == []


@pytest.mark.parametrize(
    "wrong", [np.zeros((9, 9, 2), np.uint8), np.zeros((9, 9, 3)), np.zeros(9, np.uint8), 7, b"a.jpg"]
)
def test_what_is_no_image_is_named(shipped_reader: PlateReader, wrong: Any) -> None:
    with pytest.raises(SettingError, match=r"expected a path, a Pillow image, or an array of uint8"):
        shipped_reader.read(wrong)


@pytest.mark.parametrize(
    ("options", "error", "named"),
    [
        ({"precision": "int4"}, SettingError, "int4"),
        ({"backend": "openvino"}, SettingError, "openvino"),
        ({"threads": 0}, SettingError, "threads"),
        ({"settings": {"min_score": 1.5}}, SettingError, "min_score"),
        ({"settings": {"format_prior": -1.0}}, SettingError, "format_prior"),
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


def test_real_crops(shipped_reader: PlateReader, shared_data: Path) -> None:
    crops = sorted((shared_data / "crops").iterdir())[::10]
    right = sum(
        read is not None and read.text == path.stem.split("_")[0]
        for path, read in zip(crops, shipped_reader.read_crops([read_image(p) for p in crops]), strict=True)
    )
    assert right / len(crops) >= 0.94


def test_real_scenes_and_negatives(shipped_reader: PlateReader, shared_data: Path) -> None:
    labels = defaultdict(set)
    with (shared_data / "plates.csv").open(encoding="utf-8-sig", newline="") as rows:
        for row in csv.DictReader(rows):
            labels[row["file"]].add(row["label"])
    found = 0
    for file, texts in labels.items():
        folder = file.split("/")[0]
        if folder == "negatives":
            assert shipped_reader.read(read_image(shared_data / file)) == []
        elif folder == "ccpd":
            found += bool(texts & {r.text for r in shipped_reader.read(read_image(shared_data / file))})
    assert found >= 20


@pytest.mark.parametrize(
    "other", [{"backend": "onnxruntime"}, {"precision": "fp32"}, {"threads": 1}, {"options": {}}]
)
def test_models_of_ones_own_go_with_no_choice_of_models(other: dict[str, Any]) -> None:
    opened = open_models(load_bundle())
    with pytest.raises(SettingError, match="models are given"):
        PlateReader(models=opened, **other)
    opened.close()
