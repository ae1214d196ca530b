"""Plates that may be the same: look-alikes, patterns, and tables of many."""

from __future__ import annotations

import itertools
import random
import re
import sqlite3
from typing import Any

import pytest

from edge_lpr.plates.characters import HOMOGLYPHS
from edge_lpr.serve.matching import LOOKALIKES, PlateTable, fold, glob, pattern_regex, same_plate


def test_what_shares_a_glyph_looks_alike() -> None:
    for first, second in HOMOGLYPHS:
        assert fold(first) == fold(second)


def test_a_character_is_in_one_group() -> None:
    characters = "".join(LOOKALIKES)
    assert len(set(characters)) == len(characters)
    assert same_plate("京A1Z34S", "京A12345") and not same_plate("京A12345", "京A12346")


@pytest.mark.parametrize(
    "pattern", ["京A*", "?B*8", "*", "京[A]*", "[a-z]", "*1*2*", "**1**", "a.c", "^京$", ""]
)
def test_wildcards_mean_the_same_in_the_database_and_in_lists(pattern: str) -> None:
    texts = ("京A12345", "沪B88888", "京[A]1", "b", "abc", "a.c", "京", "12", "1x2", "^京$", "")
    base = sqlite3.connect(":memory:")
    for text in texts:
        (found,) = base.execute("SELECT ? GLOB ?", (text, glob(pattern))).fetchone()
        assert bool(found) == bool(re.fullmatch(pattern_regex(pattern), text)), text
    base.close()


def test_a_table_finds_what_comparing_one_by_one_finds() -> None:
    rng = random.Random(7)
    alphabet = "123AB"
    texts = ["".join(rng.choices(alphabet, k=rng.choice((5, 6)))) for _ in range(400)]
    table = PlateTable(texts)
    for limit, _ in itertools.product((1, 2, 3), range(40)):
        text = "".join(rng.choices(alphabet + "Z", k=rng.choice((5, 6, 7))))
        doubtful = [rng.random() < 0.6 for _ in text]
        expected = set()
        for i, other in enumerate(texts):
            if len(other) == len(text):
                wrong = [d for a, b, d in zip(text, other, doubtful, strict=True) if a != b]
                if len(wrong) <= limit and all(wrong):
                    expected.add(i)
        found = list(table.near(text, doubtful, limit))
        assert set(found) == expected and len(found) == len(expected)
        distances = [sum(a != b for a, b in zip(text, texts[i], strict=True)) for i in found]
        assert distances == sorted(distances)


def test_more_characters_than_a_byte_tells_apart_are_compared_as_text() -> None:
    texts = [chr(0x4E00 + i) + "1" for i in range(400)]
    table = PlateTable(texts)
    assert list(table.near(texts[399], (False, True), 1)) == [399]
    assert list(table.near("龥1", (False, True), 1)) == []


def test_only_plates_that_may_be_meant_are_looked_at_one_by_one() -> None:
    looked: list[int] = []

    class Texts(list[str]):
        def __getitem__(self, index: Any) -> Any:
            looked.append(index)
            return super().__getitem__(index)

    table = PlateTable([f"A{number:05}" for number in range(50_000)])
    table._texts = Texts(table._texts)
    assert list(table.near("A1234X", [True] * 6, 1)) == list(range(12340, 12350))
    assert looked == list(range(12340, 12350))
