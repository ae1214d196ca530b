"""Bar charts."""

from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree

import pytest

from edge_lpr.serve.web.charts import Bar, bar_chart

SVG = "{http://www.w3.org/2000/svg}"


def drawn(*bars: Bar) -> ElementTree.Element:
    text = bar_chart("A <title>", ["in", "out & about"], bars)
    return ElementTree.fromstring(str(text).replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1))


def test_bars_are_as_high_as_what_they_count() -> None:
    root = drawn(Bar("2026-11-27T07:00", (2, 4)), Bar("2026-11-27T08:00", (0, 8)))
    first, second, third = root.iter(f"{SVG}rect")
    heights = [float(rect.get("height", "")) for rect in (first, second, third)]
    assert heights[1] == pytest.approx(2 * heights[0], abs=0.2)
    assert heights[2] == pytest.approx(4 * heights[0], abs=0.2)
    assert float(second.get("y", "")) + heights[1] == pytest.approx(float(first.get("y", "")), abs=0.2), (
        "stacked"
    )
    assert [rect.get("class") for rect in (first, second, third)] == ["s0", "s1", "s1"]
    assert third.findtext(f"{SVG}title") == "2026-11-27T08:00, out & about: 8"
    assert root.findtext(f"{SVG}title") == root.get("aria-label") == "A <title>"


def test_the_axis_is_of_round_numbers() -> None:
    for highest, expected in (
        (1, ["0", "1"]),
        (7, ["0", "2", "4", "6", "8"]),
        (430, ["0", "100", "200", "300", "400", "500"]),
    ):
        labels = [
            t.text
            for t in drawn(Bar("2026-11-27", (highest, 0))).iter(f"{SVG}text")
            if t.get("text-anchor") == "end"
        ]
        assert labels == expected


def test_labels_do_not_crowd() -> None:
    for count in (0, 1, 24, 336, 400):
        bars = [Bar(f"2026-11-27T{i % 24:02d}:00", (i, 1)) for i in range(count)]
        labels = [t for t in drawn(*bars).iter(f"{SVG}text") if t.get("text-anchor") == "middle"]
        places = [float(label.get("x", "")) for label in labels]
        assert all(b - a > 55 for a, b in pairwise(places))
        assert len(labels) <= 16


def test_midnight_names_the_day() -> None:
    texts = [
        t.text for t in drawn(Bar("2026-11-27T00:00", (1, 0)), Bar("2026-11-27", (1, 0))).iter(f"{SVG}text")
    ]
    assert texts.count("11-27") == 2
