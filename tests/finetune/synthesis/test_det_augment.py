from __future__ import annotations

import numpy as np
import pytest

from edge_lpr.finetune.synthesis.det_augment import EastRandomCropData, IaaAugment, augment_scene

COLOURS = ((255, 40, 40), (40, 255, 40), (40, 40, 255), (255, 255, 40))
QUADS = [
    np.array([[120, 200], [220, 190], [222, 222], [118, 230]], np.float32),
    np.array([[60, 60], [130, 64], [130, 90], [60, 88]], np.float32),
]


def marked(quads: list[np.ndarray]) -> np.ndarray:
    """A grey photo with a coloured square at each corner of the first quadrilateral."""
    photo = np.full((400, 300, 3), 100, np.uint8)
    for (x, y), colour in zip(quads[0].astype(int), COLOURS, strict=True):
        photo[y - 6 : y + 7, x - 6 : x + 7] = colour
    return photo


def places(image: np.ndarray) -> dict[int, np.ndarray]:
    """The middle of each colour's square, where the whole square is in the image."""
    found = {}
    for i, colour in enumerate(COLOURS):
        near = np.abs(image.astype(int) - colour).max(axis=2) < 90
        ys, xs = np.nonzero(near)
        if len(xs) > 4 and min(xs.min(), ys.min()) > 0:
            found[i] = np.array([xs.mean(), ys.mean()])
    return found


@pytest.mark.parametrize("flip", [0.0, 1.0])
def test_corners_go_where_the_marks_go(flip: float) -> None:
    rng = np.random.default_rng(4)
    # No crop goes through the marks themselves.
    around = np.array([[105, 177], [235, 177], [235, 243], [105, 243]], np.float32)
    seen = 0
    for _ in range(40):
        image, quads, flags = augment_scene(
            marked(QUADS), [QUADS[0], around], [False] * 2, rng, (320, 256), view=IaaAugment(flip=flip)
        )
        assert image.shape == (256, 320, 3)
        assert flags == [False] * 2
        found = places(image)
        if len(found) < 4:  # too small to be told by their colours
            continue
        seen += 1
        # Mirrored, what was the upper right corner is the upper left one.
        order = [1, 0, 3, 2] if flip else [0, 1, 2, 3]
        for corner, i in zip(quads[0], order, strict=True):
            assert np.abs(corner - found[i]).max() < 0.75
        side = np.roll(quads[0], -1, 0) - quads[0]
        following = np.roll(side, -1, 0)
        assert (side[:, 0] * following[:, 1] - side[:, 1] * following[:, 0] > 0).all(), "clockwise"
    assert seen > 15


def test_nothing_moves_where_nothing_is_drawn() -> None:
    photo = np.random.default_rng(0).integers(0, 255, (256, 320, 3), np.uint8)
    view = IaaAugment(flip=0, rotate=(0, 0), resize=(1, 1))
    crop = EastRandomCropData(max_tries=0)
    image, quads, flags = augment_scene(
        photo, QUADS[1:], [True], np.random.default_rng(1), (320, 256), view=view, crop=crop
    )
    assert np.array_equal(image, photo)
    assert np.array_equal(quads[0], QUADS[1])
    assert flags == [True]


def test_the_photo_keeps_its_aspect_and_the_rest_is_black() -> None:
    photo = np.full((400, 200, 3), 255, np.uint8)
    view = IaaAugment(flip=0, rotate=(0, 0))
    image, quads, _ = augment_scene(photo, [], [], np.random.default_rng(2), (256, 256), view=view)
    assert quads == []
    assert (image[:, :128] == 255).all()
    assert (image[:, 128:] == 0).all()


def test_crops_hold_a_text_and_cut_none() -> None:
    rng = np.random.default_rng(3)
    crop, size = EastRandomCropData(), (300, 400)
    parts = np.array([crop(QUADS, size, rng) for _ in range(300)])
    assert len(np.unique(parts, axis=0)) > 100
    for left, top, width, height in parts:
        assert left >= 0
        assert top >= 0
        assert left + width <= 300
        assert top + height <= 400
        assert width >= 30
        assert height >= 40
        inside = []
        for quad in QUADS:
            low, high = quad.min(0), quad.max(0)
            whole = (low >= (left, top)).all() and (high <= (left + width, top + height)).all()
            outside = (high <= (left, top)).any() or (low >= (left + width, top + height)).any()
            assert whole or outside
            inside.append(whole)
        assert any(inside)


def test_a_text_over_the_whole_image_is_kept_whole() -> None:
    quad = np.array([[0, 0], [99, 0], [99, 49], [0, 49]], np.float32)
    assert EastRandomCropData()([quad], (100, 50), np.random.default_rng(0)) == (0, 0, 100, 50)
    assert EastRandomCropData()([], (100, 50), np.random.default_rng(0)) == (0, 0, 100, 50)


def test_ignored_texts_do_not_steer_the_crop_and_stay_marked() -> None:
    rng = np.random.default_rng(5)
    both = 0
    for _ in range(60):
        _, quads, flags = augment_scene(marked(QUADS), QUADS, [False, True], rng, (320, 256))
        assert len(quads) == len(flags)
        assert flags[0] is False, "the text that counts is in every crop, and comes first"
        both += flags == [False, True]
    assert both > 10


def test_the_same_seed_gives_the_same_scene() -> None:
    photo = marked(QUADS)
    before = photo.copy()
    a, b = (augment_scene(photo, QUADS, [False] * 2, np.random.default_rng(9), (96, 96)) for _ in range(2))
    assert np.array_equal(a[0], b[0])
    assert all(np.array_equal(x, y) for x, y in zip(a[1], b[1], strict=True))
    assert np.array_equal(photo, before)
