from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_lpr.finetune.synthesis import rec_augment
from edge_lpr.finetune.synthesis.rec_augment import (
    RecAug,
    bring_to_height,
    gaussian_noise,
    get_crop,
    hsv_aug,
    jitter,
    rec_con_aug,
    tia_distort,
    tia_perspective,
    tia_stretch,
    warp_mls,
)

GOLDEN = Path(__file__).parents[2] / "golden" / "paddleocr_tia.npz"
NONE = dict.fromkeys(("tia", "crop", "blur", "hsv_aug", "jitter", "noise", "reverse"), 0.0)


def line(width: int = 160, height: int = 48, seed: int = 0) -> np.ndarray:
    noise = cv2.GaussianBlur(np.random.default_rng(seed).normal(0, 1, (height, width, 3)), (0, 0), 3)
    return np.asarray(cv2.normalize(noise, None, 0, 255, cv2.NORM_MINMAX), np.uint8)


def difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(int) - b).mean())


@pytest.mark.parametrize("n", [0, 1, 2])
def test_the_warp_is_paddleocrs(n: int) -> None:
    with np.load(GOLDEN) as golden:
        image, wanted = golden[f"line{n}"], golden[f"warped{n}"]
        made = warp_mls(image, golden[f"source{n}"], golden[f"target{n}"])
    # PaddleOCR cuts the fractions of levels off, half a level on average; its last cell is a pixel longer.
    assert difference(made, wanted) < 1.0
    assert difference(image, wanted) > 7.0


def test_a_mark_goes_where_its_point_goes() -> None:
    image = np.zeros((100, 200, 3), np.uint8)
    cv2.circle(image, (80, 40), 4, (255, 255, 255), -1)
    source = np.array([[0, 0], [199, 0], [199, 99], [0, 99], [80, 40]], np.float64)
    target = source.copy()
    target[4] += (14, 9)
    made = warp_mls(image, source, target, grid=4)
    ys, xs = np.nonzero(made[..., 0] > 128)
    assert abs(xs.mean() - 94) < 1
    assert abs(ys.mean() - 49) < 1
    assert difference(warp_mls(image, source, source), image) < 0.01


def test_stretching_moves_sideways_alone_and_perspective_up_and_down() -> None:
    rng = np.random.default_rng(1)
    rows = np.repeat(np.linspace(0, 255, 48).astype(np.uint8)[:, None, None], 160, axis=1).repeat(3, axis=2)
    columns = np.repeat(np.linspace(0, 255, 160).astype(np.uint8)[None, :, None], 48, axis=0).repeat(
        3, axis=2
    )
    for _ in range(5):
        assert difference(tia_stretch(rows, rng, 4), rows) < 3
        assert difference(tia_perspective(columns, rng), columns) < 3
    assert max(difference(tia_stretch(columns, rng, 3), columns) for _ in range(10)) > 5
    assert max(difference(tia_perspective(rows, rng), rows) for _ in range(10)) > 10
    assert max(difference(tia_distort(rows, rng, 4), rows) for _ in range(10)) > 3


def test_small_operators() -> None:
    rng, image = np.random.default_rng(2), line()
    heights = {get_crop(image, rng).shape[0] for _ in range(200)}
    assert heights == set(range(40, 48))
    assert {bool(np.array_equal(c[0], image[0])) for c in (get_crop(image, rng) for _ in range(20))} == {
        True,
        False,
    }
    assert np.abs(hsv_aug(image, rng).astype(int) - image).max() < 16  # hue is kept in steps of two degrees
    assert np.abs(gaussian_noise(image, rng).astype(int) - image).max() <= 1
    assert difference(gaussian_noise(image, rng, variance=400.0), image) > 5
    assert jitter(image, rng) is image


def test_jitter_moves_along_the_diagonal() -> None:
    image = line(60, 50)
    moved = next(
        m for m in (jitter(image, np.random.default_rng(s), 0.2) for s in range(9)) if m is not image
    )
    shifts = [k for k in range(1, 10) if np.array_equal(moved[k:, k:], image[:-k, :-k])]
    assert len(shifts) == 1
    assert np.array_equal(moved[0], image[0])


@pytest.mark.parametrize(
    ("name", "value"), [("tia", 5.0), ("crop", None), ("blur", 1.0), ("noise", 0.3), ("reverse", 50.0)]
)
def test_each_probability_is_that_of_its_operator(name: str, value: float | None) -> None:
    image = line()
    assert np.array_equal(RecAug(**NONE)(image, np.random.default_rng(0)), image)
    made = RecAug(**{**NONE, name: 1.0})(image, np.random.default_rng(0))
    if value is None:
        assert made.shape[0] < 48
    else:
        assert difference(made, image) > value


def test_reversing_is_the_negative() -> None:
    image = line()
    assert np.array_equal(RecAug(**{**NONE, "reverse": 1.0})(image, np.random.default_rng(0)), 255 - image)


@pytest.mark.parametrize("size", [(1, 1), (19, 19), (20, 20), (6, 48), (960, 48), (101, 48), (33, 250)])
def test_lines_of_all_sizes(size: tuple[int, int]) -> None:
    augment, rng = (
        RecAug(tia=1, crop=1, blur=1, hsv_aug=1, jitter=1, noise=1, reverse=1),
        np.random.default_rng(3),
    )
    before = line(*size)
    image = before.copy()
    for _ in range(4):
        made = augment(image, rng)
        assert made.dtype == np.uint8
        assert made.ndim == 3
        assert made.shape[1] == size[0]
        assert 0 <= size[1] - made.shape[0] <= 8
    assert np.array_equal(image, before), "the crop handed in is not changed"


def test_the_same_seed_gives_the_same_line() -> None:
    a, b = (RecAug()(line(), np.random.default_rng(8)) for _ in range(2))
    assert np.array_equal(a, b)


def test_joining_stops_at_what_does_not_fit() -> None:
    plate = (line(151, 48), "皖A12345")
    # At the recipe's width there is room for one plate.
    alone = rec_con_aug(plate, [plate, plate], (160, 48))
    assert alone[0] is plate[0]
    assert alone[1] == "皖A12345"
    image, text = rec_con_aug(plate, [plate, plate], (320, 48))
    assert text == "皖A12345皖A12345"
    assert image.shape == (48, 302, 3)
    assert np.array_equal(image[:, 151:], plate[0])
    assert rec_con_aug(plate, [plate], (320, 48), max_text_length=13)[1] == "皖A12345"


def test_height() -> None:
    assert bring_to_height(line(94, 24), 48).shape == (48, 188, 3)
    assert bring_to_height(line(400, 4), 48).shape[1] == 48 * rec_augment.MAX_ASPECT
