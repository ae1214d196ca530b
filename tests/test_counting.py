"""Counted nouns: one of a thing is told of as one."""

from __future__ import annotations

import pytest

from edge_lpr.counting import counted


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ((3, "plates"), "3 plates"),
        ((1, "plates"), "1 plate"),
        ((0, "plates"), "0 plates"),
        ((1, "dropped"), "1 dropped"),
        (("building", ""), "building"),
        ((1, "boxes", "box"), "1 box"),
        ((2, "boxes", "box"), "2 boxes"),
        (("1", "hours"), "1 hour"),
        (("1.5", "hours"), "1.5 hours"),
        (("1/100", "frames"), "1/100 frames"),
    ],
)
def test_a_number_and_its_noun_agree(given: tuple[object, str], told: str) -> None:
    assert counted(*given) == told
