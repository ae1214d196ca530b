"""Crops that show no plate."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.extras import reason

pytest.importorskip("PIL", reason=reason("PIL", "test"))

from edge_lpr.errors import InputError
from edge_lpr.finetune.synthesis import glyphs
from edge_lpr.finetune.synthesis.negatives import CONTRAST, TextRenderer, colours
from edge_lpr.plates.characters import PROVINCES

FONT = glyphs.PLATE_ASSETS / "hei-thin.otf"


def test_texts_are_of_the_characters_that_the_font_has() -> None:
    renderer = TextRenderer([*PROVINCES, "龘", "", "ab"], FONT)
    assert renderer.characters == list(PROVINCES)
    rng = np.random.default_rng(0)
    for _ in range(30):
        text = renderer.text(rng)
        assert 1 <= len(text) <= 8
        assert set(text) <= set(PROVINCES)


def test_crops_are_of_about_the_asked_height_and_the_same_for_a_seed() -> None:
    renderer = TextRenderer(PROVINCES, FONT)
    texts = []
    for seed in range(40):
        image, text = renderer.crop(np.random.default_rng(seed), 40)
        again, _ = renderer.crop(np.random.default_rng(seed), 40)
        assert image.dtype == np.uint8
        assert np.array_equal(image, again)
        assert 8 <= image.shape[0] <= 70
        texts.append(text)
    assert "" in texts  # a surface without text
    assert sum(text != "" for text in texts) > 25


def test_a_text_shows_on_its_paper() -> None:
    rng = np.random.default_rng(0)
    apart = [np.abs(np.subtract(*colours(rng))).max() for _ in range(2000)]
    assert min(apart) >= CONTRAST


def test_a_font_without_the_characters_and_no_font_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has 0 of the dictionary's characters"):
        TextRenderer("abcdefghijkl", FONT)
    (tmp_path / "no.ttf").write_bytes(b"no font")
    with pytest.raises(InputError, match="cannot be read as a font"):
        TextRenderer(PROVINCES, tmp_path / "no.ttf")
