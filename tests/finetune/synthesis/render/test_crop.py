from __future__ import annotations

import numpy as np

from edge_lpr.finetune.synthesis.render.crop import CropSettings, render_crop
from edge_lpr.finetune.synthesis.render.text import SyntheticPlate, sample_plate


def test_crops_are_upright_and_of_the_asked_size() -> None:
    rng = np.random.default_rng(4)
    settings = CropSettings(min_width=100, max_width=120, boxed=0.0)
    for _ in range(30):
        crop = render_crop(sample_plate(rng), rng, settings)
        assert crop.dtype == np.uint8
        assert 45 <= crop.shape[1] <= 160
        assert crop.shape[1] > crop.shape[0]


def test_boxed_crops_have_ccpd_size() -> None:
    rng = np.random.default_rng(4)
    settings = CropSettings(boxed=1.0)
    shapes = [render_crop(sample_plate(rng), rng, settings).shape for _ in range(40)]
    assert shapes.count((24, 94, 3)) > 20


def test_two_rows_come_in_one_line() -> None:
    rng = np.random.default_rng(7)
    settings = CropSettings(min_width=100, max_width=120, strength=0.2)
    for _ in range(20):
        crop = render_crop(SyntheticPlate("粤AB2893", "yellow", rows=2), rng, settings)
        assert crop.shape[1] > 2 * crop.shape[0]
