"""docs/plates.md names every kind, with texts that its formats accept."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from edge_lpr.plates import KINDS, plate_formats

PAGE = Path(__file__).parents[2] / "docs" / "plates.md"
ROWS = re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \|", PAGE.read_text(encoding="utf-8"), re.M)


def test_every_kind_is_in_the_table() -> None:
    assert [name for name, _ in ROWS] == [kind.name for kind in KINDS]


@pytest.mark.parametrize(("kind", "examples"), ROWS, ids=[name for name, _ in ROWS])
def test_the_examples_are_of_the_kind(kind: str, examples: str) -> None:
    formats = [plate for plate in plate_formats() if kind in plate.kinds]
    for text in examples.strip().split(", "):
        assert any(plate.accepts(text) for plate in formats), text
