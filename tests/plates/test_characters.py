"""Sets of characters."""

from __future__ import annotations

from edge_lpr.plates import plate_formats
from edge_lpr.plates.characters import DIGITS, HOMOGLYPHS, LETTERS, OFFICES, PROVINCES, SERIAL


def test_24_letters_of_a_serial_and_o_for_an_office() -> None:
    assert len(set(LETTERS)) == len(LETTERS) == 24
    assert not set("IO") & set(SERIAL)
    assert set(OFFICES) - set(LETTERS) == {"O"}
    assert len(set(PROVINCES)) == 31
    assert set(SERIAL) == set(LETTERS) | set(DIGITS)


def test_no_position_allows_both_of_two_characters_that_look_alike() -> None:
    for plate in plate_formats():
        for allowed in plate.positions:
            assert not any(first in allowed and second in allowed for first, second in HOMOGLYPHS)
