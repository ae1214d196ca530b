"""Annotated images."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_lpr.io import drawing
from edge_lpr.plates import PlateRead


def make_read(text: str, corners: list[list[float]], kind: str = "blue", score: float = 0.97) -> PlateRead:
    return PlateRead(
        text=text,
        kind=kind,
        score=score,
        min_score=score,
        char_scores=(score,) * len(text),
        corners=np.asarray(corners, np.float32),
        det_score=0.9,
        log_probs=np.zeros((len(text), 1), np.float32),
    )


def blank(height: int = 240, width: int = 480) -> NDArray[np.uint8]:
    return np.full((height, width, 3), 100, np.uint8)


def test_every_plate_character_has_its_own_glyph() -> None:
    chars = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼警学挂港澳领使"
    chars += "ABCDEFGHJKLMNPQRSTUVWXYZ0123456789O"
    box = drawing.text_mask(drawing.MISSING_GLYPH, 48).tobytes()
    masks = {drawing.text_mask(char, 48).tobytes() for char in chars}
    assert len(masks) == len(chars)
    assert box not in masks


def test_unknown_characters_become_a_box() -> None:
    assert np.array_equal(drawing.text_mask("鵰", 32), drawing.text_mask(drawing.MISSING_GLYPH, 32))
    assert drawing.text_mask("皖\n", 32).shape[1] > drawing.text_mask("皖", 32).shape[1]


def test_text_mask_of_nothing_is_empty() -> None:
    assert drawing.text_mask("", 20).shape == (20, 1)
    assert not drawing.text_mask("", 20).any()


def test_outline_and_label_are_drawn_beside_the_plate_not_on_it() -> None:
    image = blank()
    drawing.draw_reads(image, [make_read("皖AD11166", [[100, 100], [220, 100], [220, 140], [100, 140]])])
    assert np.abs(image[100, 160].astype(int) - drawing.PLATE_COLOR).max() < 20
    assert (image[105:135, 105:215] == 100).all()
    label = image[75:96, 100:300]
    assert (label == 255).any()
    assert (label.max(axis=2) < 60).sum() > 500


def test_a_label_without_room_above_stands_below() -> None:
    image = blank()
    drawing.draw_reads(image, [make_read("川A12345", [[100, 2], [220, 2], [220, 40], [100, 40]])])
    assert (image[43:60, 100:220] == 255).any()


def test_other_text_is_grey() -> None:
    image = blank()
    drawing.draw_reads(
        image, [make_read("EXIT", [[100, 100], [220, 100], [220, 140], [100, 140]], kind="text")]
    )
    assert np.abs(image[100, 160].astype(int) - drawing.FREE_TEXT_COLOR).max() < 20


def test_a_plate_without_a_text_has_an_outline_alone() -> None:
    image = blank()
    drawing.draw_reads(image, [make_read("", [[100, 100], [220, 100], [220, 140], [100, 140]])])
    rows = np.flatnonzero((image != blank()).any(axis=(1, 2)))
    assert rows.min() >= 98 and rows.max() <= 142


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (500, 3), (40, 40)])
def test_small_images_and_corners_outside_are_clipped(shape: tuple[int, int]) -> None:
    image = blank(*shape)
    far = [[-1e6, -50], [1e6, -60], [30, 1e7], [-20, 30]]
    drawing.draw_reads(image, [make_read("皖A12345", far), make_read("", [[0, 0], [9, 0], [9, 9], [0, 9]])])
    assert image.shape == (*shape, 3)


def test_letters_grow_with_the_image() -> None:
    def label_rows(height: int, width: int) -> int:
        image = blank(height, width)
        x, y = width / 2, height / 2
        drawing.draw_reads(
            image, [make_read("皖A12345", [[x, y], [x + 90, y], [x + 90, y + 30], [x, y + 30]])]
        )
        return int((image[: int(y) - 8] != 100).any(axis=(1, 2)).sum())

    assert label_rows(2160, 3840) > 2 * label_rows(480, 640)
