from __future__ import annotations

import numpy as np
import pytest

from edge_lpr.finetune import render_plate as rp
from edge_lpr.plate import plate_kinds

CHARS = rp.PROVINCES + "警学挂港澳领使" + rp.LETTERS + "IO" + rp.DIGITS


@pytest.mark.parametrize("kind", rp.KIND_WEIGHTS)
def test_texts_fit_their_kind(kind: str) -> None:
    assert kind in plate_kinds()
    rng = np.random.default_rng(1)
    for _ in range(200):
        plate = rp.sample_plate(rng, rp.PlateMix(kinds={kind: 1.0}))
        assert plate.kind == kind
        assert len(plate.text) == (8 if kind == "green" else 7)
        assert set(plate.text) <= set(CHARS)
        if kind != "embassy":
            assert plate.text[0] in rp.PROVINCES
            # I is on no plate, O in second place alone.
            assert "I" not in plate.text
            assert "O" not in plate.text[2:]
        if kind in rp.ENDINGS:
            assert plate.text.endswith(rp.ENDINGS[kind])


def test_every_province_and_character_comes_up() -> None:
    rng = np.random.default_rng(2)
    texts = [rp.sample_plate(rng).text for _ in range(3000)]
    provinces = [text[0] for text in texts]
    assert set(rp.PROVINCES) <= set(provinces)
    assert max(provinces.count(p) for p in rp.PROVINCES) < 6 * min(provinces.count(p) for p in rp.PROVINCES)
    assert set(rp.LETTERS + rp.DIGITS) <= {c for text in texts for c in text[2:]}


def test_the_mix_decides() -> None:
    rng = np.random.default_rng(3)
    mix = rp.PlateMix(kinds={"blue": 1.0}, repeat=1.0, letters=0.0)
    for _ in range(20):
        assert len(set(rp.sample_plate(rng, mix).text[2:])) == 1
    mix = rp.PlateMix(kinds={"blue": 1.0}, home="皖", home_share=0.5)
    share = np.mean([rp.sample_plate(rng, mix).text[0] == "皖" for _ in range(400)])
    assert 0.42 < share < 0.62


def test_glyphs_differ_and_fill_their_cell() -> None:
    for font in rp.latin_fonts():
        seen = {}
        for char in CHARS:
            cell = rp.glyph(char, font, 2)
            assert cell.shape == (144, 72)
            rows = np.flatnonzero(cell.max(axis=1) > 128)
            assert rows[0] < 12, char
            assert rows[-1] > 131, char
            seen[char] = cell.tobytes()
        # The plates' 0 and O look alike, and so may a bare 1 and I.
        distinct = {data for char, data in seen.items() if char not in "OI"}
        assert len(distinct) == len(CHARS) - 2


def test_heavier_weights_have_more_ink() -> None:
    for char in "A8皖川":
        ink = [int(rp.glyph(char, "strokes", w).sum()) for w in range(rp.WEIGHTS)]
        assert ink == sorted(ink)
        assert ink[-1] > 1.1 * ink[0]


@pytest.mark.parametrize(
    ("plate", "shape"),
    [
        (rp.Plate("皖A12345", "blue"), (140, 440)),
        (rp.Plate("皖AD12345", "green"), (140, 480)),
        (rp.Plate("皖A1234挂", "trailer", rows=2), (140, 280)),
        (rp.Plate("使123456", "embassy"), (140, 440)),
    ],
)
def test_size_follows_the_format(plate: rp.Plate, shape: tuple[int, int]) -> None:
    image = rp.render_plate(plate, np.random.default_rng(0), 140)
    assert image.dtype == np.uint8
    assert image.shape == (*shape, 3)


def test_colours_follow_the_kind() -> None:
    rng = np.random.default_rng(5)

    def ground(text: str, kind: str) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
        plate = rp.Plate(text, kind)
        return np.mean(
            [np.median(rp.render_plate(plate, rng, 60)[40:55], axis=(0, 1)) for _ in range(12)], axis=0
        )

    blue, green, red = ground("皖A12345", "blue")
    assert blue > 1.5 * green > red
    blue, green, red = ground("皖AD12345", "green")
    assert green > 1.2 * max(blue, red)
    blue, green, red = ground("皖A1234学", "learner")
    assert min(green, red) > 2 * blue
    assert ground("皖A1234警", "police").min() > 150
    assert ground("粤Z1234港", "hongkong").max() < 110


def test_the_ending_of_a_police_plate_is_red() -> None:
    rng = np.random.default_rng(6)
    style = rp.sample_style(rp.Plate("皖A1234警", "police"), rng)
    style = rp.Style("strokes", 2, style.ink, style.base, style.base_low, (40.0, 35.0, 205.0), 3.0)
    image = rp.render_plate(rp.Plate("皖A1234警", "police"), rng, 140, style).astype(int)
    redness = (image[..., 2] - image[..., 0] > 80)[25:115]
    assert redness[:, 379:424].mean() > 0.2
    assert redness[:, :300].mean() < 0.01


def test_the_same_seed_draws_the_same_plate() -> None:
    plate = rp.Plate("鲁B8M27K", "blue")
    first, second = (rp.render_plate(plate, np.random.default_rng(9), 70) for _ in range(2))
    assert np.array_equal(first, second)
    assert not np.array_equal(first, rp.render_plate(plate, np.random.default_rng(10), 70))
