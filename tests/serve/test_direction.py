"""Which way a vehicle goes."""

from __future__ import annotations

from typing import Any

import pytest
from helpers.stored_passages import plate, settings

from edge_lpr.serve.direction import direction_of
from edge_lpr.types import Quad

FRAME = (480, 640)
LINE = {"direction": "line", "line": [[0.0, 0.5], [1.0, 0.5]]}  # from left to right: below it is the right


def way(first: Quad, last: Quad, **camera: Any) -> str:
    return direction_of(settings(**camera).cameras["gate"], first, last, FRAME)


@pytest.mark.parametrize(
    ("width", "expected"), [(240, "in"), (60, "out"), (120, ""), (140, ""), (105, ""), (152, "in")]
)
def test_by_size(width: float, expected: str) -> None:
    assert way(plate(), plate(300, 300, width), direction="size") == expected


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        ((100, 100), (100, 300), "in"),
        ((100, 300), (100, 100), "out"),
        ((100, 100), (400, 110), ""),
        ((100, 300), (400, 400), ""),
    ],
)
def test_by_line(first: tuple[float, float], last: tuple[float, float], expected: str) -> None:
    assert way(plate(*first), plate(*last), **LINE) == expected


def test_who_passes_beside_the_line_does_not_cross_it() -> None:
    short = {"direction": "line", "line": [[0.0, 0.5], [0.3, 0.5]]}
    assert way(plate(50, 100), plate(50, 300), **short) == "in"
    assert way(plate(400, 100), plate(400, 300), **short) == ""


def test_the_other_way_round() -> None:
    assert way(plate(100, 100), plate(100, 300), **LINE, reverse=True) == "out"
    assert way(plate(), plate(width=240), direction="size", reverse=True) == "out"


def test_nobody_asks_or_nobody_knows() -> None:
    assert way(plate(), plate(width=240)) == ""
    line = settings(**LINE).cameras["gate"]
    assert direction_of(line, plate(100, 100), plate(100, 300), None) == ""
