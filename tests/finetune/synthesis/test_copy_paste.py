from __future__ import annotations

import numpy as np
import pytest

from edge_lpr.finetune.synthesis.copy_paste import CopyPaste
from edge_lpr.geometry import area_and_perimeter

PLATE = np.array([[10, 10], [60, 10], [60, 26], [10, 26]], np.float32)


def photos() -> tuple[tuple[np.ndarray, list[np.ndarray], list[bool]], ...]:
    ground, other = np.zeros((200, 240, 3), np.uint8), np.full((80, 160, 3), 255, np.uint8)
    quads = [PLATE + np.float32([80 * i, 40 * i]) for i in range(2)]
    return (ground, [PLATE], [True]), (other, quads, [False, True])


def test_a_text_of_another_photo_is_pasted_where_none_is() -> None:
    photo, other = photos()
    turned = set()
    for seed in range(20):
        image, quads, ignored = CopyPaste()(photo, other, np.random.default_rng(seed))
        assert ignored == [True, False]
        assert not photo[0].any()
        (pasted,) = quads[1:]
        # As large as it was, white where its corners are, and nowhere else.
        assert area_and_perimeter(pasted)[0] == pytest.approx(50 * 16, rel=0.01)
        ys, xs = np.nonzero(image[..., 0])
        assert abs(len(xs) - 50 * 16) < 90
        assert (np.abs([xs.min(), ys.min()] - pasted.min(axis=0)) < 2).all()
        assert (np.abs([xs.max(), ys.max()] - pasted.max(axis=0)) < 2).all()
        assert (pasted.min(axis=0) > PLATE.max(axis=0)).any() or (
            pasted.max(axis=0) < PLATE.min(axis=0)
        ).any()
        turned.add(round(float(pasted[1, 0] - pasted[0, 0])))
    assert len(turned) > 10


def test_where_there_is_no_room_nothing_is_pasted() -> None:
    photo, other = photos()
    small = (np.zeros((20, 20, 3), np.uint8), [], [])
    assert CopyPaste()(small, other, np.random.default_rng(0))[1] == []
    covered = (photo[0], [np.float32([[0, 0], [240, 0], [240, 200], [0, 200]])], [False])
    assert len(CopyPaste()(covered, other, np.random.default_rng(0))[1]) == 1
    assert len(CopyPaste(limit_paste=False)(covered, other, np.random.default_rng(0))[1]) == 2
    assert CopyPaste()(photo, (other[0], [], []), np.random.default_rng(0))[2] == [True]


def test_a_share_of_the_texts_is_pasted() -> None:
    photo, other = photos()
    many = (other[0], [PLATE] * 10, [False] * 10)
    assert len(CopyPaste(0.5)(photo, many, np.random.default_rng(1))[1]) == 1 + 5
