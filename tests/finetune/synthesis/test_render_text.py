from __future__ import annotations

import numpy as np
import pytest

from edge_lpr.finetune.synthesis import render_text as rt
from edge_lpr.plates.formats import plate_kinds

CHARS = rt.PROVINCES + "警学挂港澳领使" + rt.LETTERS + "O" + rt.DIGITS


@pytest.mark.parametrize("kind", rt.KIND_WEIGHTS)
def test_texts_fit_their_kind(kind: str) -> None:
    assert kind in plate_kinds()
    rng = np.random.default_rng(1)
    for _ in range(200):
        plate = rt.sample_plate(rng, rt.PlateMix(kinds={kind: 1.0}))
        assert plate.kind == kind
        assert len(plate.text) == (8 if kind == "green" else 7)
        assert set(plate.text) <= set(CHARS)
        if kind != "embassy":
            assert plate.text[0] in rt.PROVINCES
            # I is on no plate, O in second place alone.
            assert "I" not in plate.text
            assert "O" not in plate.text[2:]
        if kind in rt.ENDINGS:
            assert plate.text.endswith(rt.ENDINGS[kind])


def test_every_province_and_character_comes_up() -> None:
    rng = np.random.default_rng(2)
    texts = [rt.sample_plate(rng).text for _ in range(3000)]
    provinces = [text[0] for text in texts]
    assert set(rt.PROVINCES) <= set(provinces)
    assert max(provinces.count(p) for p in rt.PROVINCES) < 6 * min(provinces.count(p) for p in rt.PROVINCES)
    assert set(rt.LETTERS + rt.DIGITS) <= {c for text in texts for c in text[2:]}


def test_the_mix_decides() -> None:
    rng = np.random.default_rng(3)
    mix = rt.PlateMix(kinds={"blue": 1.0}, repeat=1.0, letters=0.0)
    for _ in range(20):
        assert len(set(rt.sample_plate(rng, mix).text[2:])) == 1
    mix = rt.PlateMix(kinds={"blue": 1.0}, home="皖", home_share=0.5)
    share = np.mean([rt.sample_plate(rng, mix).text[0] == "皖" for _ in range(400)])
    assert 0.42 < share < 0.62
