"""What looks otherwise than when it was looked at."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edge_lpr.pipeline.motion import Scene, small_grey
from edge_lpr.pipeline.windows import Window

HEIGHT, WIDTH = 540, 960


def street(seed: int = 0) -> NDArray[np.uint8]:
    """A picture with edges and surfaces, as a street has."""
    coarse = np.random.default_rng(seed).integers(40, 200, (27, 48, 3), np.uint8)
    return np.asarray(cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST), np.uint8)


def noisy(image: NDArray[np.uint8], deviation: float, seed: int) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).normal(0, deviation, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("size", [(1080, 1920), (1079, 1919), (540, 960), (48, 64), (2000, 3), (1, 1)])
def test_the_small_image_is_halved_until_it_is_small(size: tuple[int, int]) -> None:
    grey = small_grey(np.full((*size, 3), 77, np.uint8))
    assert grey.dtype == np.float32 and np.allclose(grey, 77, atol=1)
    assert max(grey.shape) <= 256 or min(size) < 8


@pytest.mark.parametrize("deviation", [1.0, 12.0])
def test_noise_is_no_change(deviation: float) -> None:
    scene = Scene(noisy(street(), deviation, 1), 0.0)
    assert not any(scene.compare(noisy(street(), deviation, seed)).any() for seed in (2, 3, 4))


@pytest.mark.parametrize("gain", [0.6, 0.9, 1.2])
def test_exposure_is_no_change(gain: float) -> None:
    scene = Scene(street(), 0.0)
    assert scene.compare(cv2.convertScaleAbs(street(), alpha=gain)).mean() < 0.01  # type: ignore[arg-type]


def test_a_camera_that_shakes_by_a_pixel_is_no_change() -> None:
    scene = Scene(street(), 0.0)
    assert scene.compare(np.roll(street(), (1, -1), (0, 1))).mean() < 0.01


def test_what_came_is_a_change_until_it_is_looked_at() -> None:
    scene = Scene(street(), 0.0)
    shown = street()
    shown[200:320, 400:560] = (30, 20, 90)
    changed = scene.compare(shown)
    ys, xs = np.nonzero(changed)
    window = scene.of_cells(Window(xs.min(), ys.min(), xs.max() + 1, ys.max() + 1))
    for found, true in zip(window, (400, 200, 560, 320), strict=True):
        assert abs(found - true) <= 8
    scene.note_look(window, 1.0)
    assert not scene.compare(shown).any()
    inside = scene.looked[scene.inside(window)]
    assert (inside == 1).all() and scene.looked[0, 0] == 0
    assert scene.compare(street()).any()  # and when it goes, that is one too


def test_what_was_looked_at_in_other_light_is_no_change_either() -> None:
    scene = Scene(street(), 0.0)
    dark = np.asarray(cv2.convertScaleAbs(street(), alpha=0.7), np.uint8)
    dark[200:320, 400:560] = (60, 90, 200)
    scene.compare(dark)
    scene.note_look(Window(380, 180, 580, 340), 1.0)
    assert scene.compare(dark).mean() < 0.01
