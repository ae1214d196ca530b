"""Where training images come from."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from edge_lpr.datasets.labels import LabelledPlate, Sample
from edge_lpr.errors import InputError
from edge_lpr.finetune.synthesis.det_augment import EastRandomCropData, IaaAugment
from edge_lpr.finetune.synthesis.training_images import Photos, RenderedCrops, Scenes
from edge_lpr.plates import plate_formats

SAMPLES = Path(__file__).parents[3] / "samples"
STILL = json.loads((SAMPLES / "street.json").read_text(encoding="utf-8"))["street.jpg"]["plates"]
PLATES = tuple(LabelledPlate(p["text"], np.array(p["corners"], np.float32)) for p in STILL)


def street() -> Sample:
    return Sample(SAMPLES / "street.jpg", PLATES, "street")


def test_photos_are_scenes_whose_plates_all_have_corners() -> None:
    path = SAMPLES / "street.jpg"
    unusable = [
        Sample(path, (LabelledPlate("皖A12345", None),), "x"),
        Sample(path, None, "x"),
        Sample(path, PLATES, "x", crop=True),
    ]
    photos = Photos([street(), *unusable])
    assert len(photos) == 1
    photo = photos.draw(np.random.default_rng(0))
    assert photo.texts == tuple(p.text for p in PLATES)
    assert len(photo.looks) == len(photo.quads) == 2
    # Decoded once; a copy for a worker process starts without.
    assert photos.draw(np.random.default_rng(1)) is photo
    assert len(pickle.dumps(photos)) < photo.image.nbytes / 10


def test_photos_that_cannot_be_read_end_the_run_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "no.jpg").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"20 labelled images in a row cannot be read or .*no\.jpg"):
        Photos([Sample(tmp_path / "no.jpg", PLATES, "x")]).draw(np.random.default_rng(0))


def test_a_photo_whose_plate_lies_outside_is_not_drawn() -> None:
    beyond = LabelledPlate("皖A12345", PLATES[0].corners + np.float32(2000))
    photos = Photos([Sample(SAMPLES / "street.jpg", (*PLATES, beyond), "x"), street()])
    drawn = [photos.draw(np.random.default_rng(seed), first=0) for seed in range(4)]
    assert {photo.texts for photo in drawn} == {tuple(p.text for p in PLATES)}
    with pytest.raises(InputError, match="corners outside"):
        Photos(photos.samples[:1]).draw(np.random.default_rng(0))


@pytest.mark.parametrize("photos", [None, "street"])
def test_crops_and_what_stands_on_them(photos: str | None) -> None:
    source = RenderedCrops(photos=Photos([street()]) if photos else None, swapped=0.7)
    rng = np.random.default_rng(4)
    for _ in range(12):
        crop, text = source(rng)
        assert crop.dtype == np.uint8
        assert crop.shape[1] > crop.shape[0]
        assert any(form.accepts(text) for form in plate_formats())


@pytest.mark.parametrize("ppocr", [False, True])
def test_scenes_come_from_all_three_sources(ppocr: bool) -> None:
    source = Scenes(
        Photos([street()]),
        swapped=0.4,
        real=0.3,
        augment=(IaaAugment(), EastRandomCropData(), None) if ppocr else None,
    )
    rng = np.random.default_rng(5)
    plates = 0
    for _ in range(12):
        image, quads, ignored = source(rng, (320, 256))
        assert image.shape == (256, 320, 3)
        assert len(quads) == len(ignored)
        assert not any(ignored)
        plates += len(quads)
    assert plates >= 5
