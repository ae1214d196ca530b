from __future__ import annotations

import hashlib

import numpy as np
import pytest

from edge_lpr.finetune.synthesis.render import text as rt
from edge_lpr.plates import plate_formats, plate_kinds
from edge_lpr.plates.characters import DIGITS, LETTERS, PROVINCES
from edge_lpr.plates.charset import SUFFIXES

CHARS = PROVINCES + SUFFIXES + LETTERS + "O" + DIGITS
ENDINGS = {
    "police": "警",
    "learner": "学",
    "trailer": "挂",
    "hongkong": "港",
    "macau": "澳",
    "consulate": "领",
    "emergency": "应急",
}
LENGTHS = {"green": {8}, "armed_police": {8, 9}, "emergency": {8}, "tractor": {8}}
NO_PROVINCE = {"embassy", "military", "military_old", "armed_police"}


@pytest.mark.parametrize("kind", plate_kinds())
def test_texts_fit_their_kind(kind: str) -> None:
    rng = np.random.default_rng(1)
    formats = [form for form in plate_formats() if kind in form.kinds]
    for _ in range(200):
        plate = rt.sample_plate(rng, rt.PlateMix(kinds={kind: 1.0}))
        assert plate.kind == kind
        assert any(form.accepts(plate.text) for form in formats)
        assert len(plate.text) in LENGTHS.get(kind, {7})
        assert set(plate.text) <= set(CHARS)
        if kind not in NO_PROVINCE:
            assert plate.text[0] in PROVINCES
            # I is on no plate, O in second place alone.
            assert "I" not in plate.text
            assert "O" not in plate.text[2:]
        if kind in ENDINGS:
            assert plate.text.endswith(ENDINGS[kind])


def test_every_province_and_character_comes_up() -> None:
    rng = np.random.default_rng(2)
    texts = [rt.sample_plate(rng).text for _ in range(3000)]
    provinces = [text[0] for text in texts]
    assert set(PROVINCES) <= set(provinces)
    assert max(provinces.count(p) for p in PROVINCES) < 6 * min(provinces.count(p) for p in PROVINCES)
    assert set(LETTERS + DIGITS) <= {c for text in texts for c in text[2:]}


def test_the_mix_decides() -> None:
    rng = np.random.default_rng(3)
    mix = rt.PlateMix(kinds={"blue": 1.0}, repeat=1.0, letters=0.0)
    for _ in range(20):
        assert len(set(rt.sample_plate(rng, mix).text[2:])) == 1
    mix = rt.PlateMix(kinds={"blue": 1.0}, home="皖", home_share=0.5)
    share = np.mean([rt.sample_plate(rng, mix).text[0] == "皖" for _ in range(400)])
    assert 0.42 < share < 0.62


@pytest.mark.parametrize(
    ("mix", "first", "digest"),
    [
        (
            rt.PlateMix(),
            ["甘RFFF1A", "冀Z89U0警", "黑Y8Q0X0", "京AQQXSF"],
            "8dfe56090c9a54ec21a272976778b8fdbfbbaef3aa97446639fec61ddbd7920c",
        ),
        (
            rt.PlateMix(two_rows=0.3),
            ["甘RFFF1A", "冀Z89U0警", "黑Y8Q0X0", "京AQQXSF"],
            "3066a23812b2807fdaee3151de21728f3aeeabcc0966b37aef82629edc073d19",
        ),
        (
            rt.PlateMix(home="皖粤", home_share=0.5, hard=0.6, repeat=0.4),
            ["粤L21W17", "皖U22DZ7", "皖JXXX00", "京H77PZL"],
            "ae0f0473d23a90bc103e15801af8834db3a289288a2cf29184876989e5b7e66e",
        ),
    ],
    ids=["default", "two rows", "home"],
)
def test_a_seed_draws_the_same_texts_for_ever(mix: rt.PlateMix, first: list[str], digest: str) -> None:
    """What a run was trained on can be drawn again from its seed."""
    rng = np.random.default_rng(11)
    plates = [rt.sample_plate(rng, mix) for _ in range(200)]
    assert [plate.text for plate in plates[:4]] == first
    lines = "\n".join(f"{plate.text} {plate.kind} {plate.rows}" for plate in plates)
    assert hashlib.sha256(lines.encode()).hexdigest() == digest


def test_the_commonest_kinds_come_first() -> None:
    shares = rt.kind_shares()
    assert list(shares)[:3] == ["blue", "green", "yellow"]
    assert list(shares.values()) == sorted(shares.values(), reverse=True)
