"""The kinds that ship: their order, and that what each declares fits together."""

from __future__ import annotations

import pytest

from edge_lpr.plates import KINDS, PlateKind, plate_kinds


def test_the_order_of_the_kinds() -> None:
    assert plate_kinds() == (
        *("blue", "yellow", "green", "police", "learner", "trailer"),
        *("hongkong", "macau", "consulate", "embassy", "military", "military_old"),
        *("armed_police", "emergency", "tractor"),
    )
    ranks = [kind.rank for kind in KINDS]
    assert len(set(ranks)) == len(ranks)


@pytest.mark.parametrize("kind", tuple(KINDS), ids=lambda kind: kind.name)
def test_characters_lie_apart_on_the_plate(kind: PlateKind) -> None:
    for layout in kind.layouts:
        width, height = layout.size
        for i, (x, y, w, h) in enumerate(layout.cells):
            assert x >= 0
            assert y >= 0
            assert x + w <= width
            assert y + h <= height
            for x2, y2, w2, h2 in layout.cells[i + 1 :]:
                assert x + w <= x2 or x2 + w2 <= x or y + h <= y2 or y2 + h2 <= y
        if layout.dot is not None:
            x, y = layout.dot.centre
            assert not any(left < x < left + w and top < y < top + h for left, top, w, h in layout.cells)


@pytest.mark.parametrize(
    ("name", "text", "rows", "size"),
    [
        ("blue", "皖A12345", 1, (440, 140)),
        ("green", "皖AD12345", 1, (480, 140)),
        ("yellow", "皖A12345", 2, (440, 220)),
        ("trailer", "皖A1234挂", 2, (440, 220)),
        ("embassy", "使123456", 1, (440, 140)),
    ],
)
def test_sizes_are_those_of_ga_36(name: str, text: str, rows: int, size: tuple[int, int]) -> None:
    assert KINDS[name].layout(text, rows).size == size


def test_two_rows_are_for_large_vehicles() -> None:
    assert [kind.name for kind in KINDS if kind.has_two_rows] == ["yellow", "trailer", "tractor"]


@pytest.mark.parametrize(
    ("name", "text", "places"),
    [
        ("police", "皖A1234警", {6}),
        ("consulate", "沪A1234领", {6}),
        ("embassy", "使123456", {0}),
        ("embassy", "123456使", {6}),
        ("learner", "皖A1234学", set()),
        ("military", "BS13107", {0, 1}),
        ("military_old", "北A12345", {0, 1}),
        ("armed_police", "WJ京1234X", {0, 1, 2}),
        ("armed_police", "WJ1693015", {0, 1, 2, 3}),
        ("emergency", "京X0001应急", {6, 7}),
    ],
)
def test_some_characters_are_in_red(name: str, text: str, places: set[int]) -> None:
    assert KINDS[name].accents(text) == places
