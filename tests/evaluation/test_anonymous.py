"""A report that can be given away."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_lpr.datasets.content import content_name
from edge_lpr.evaluation.anonymous import anonymous


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "京A12345.jpg"
    path.write_bytes(b"image")
    return path


def test_neither_names_nor_plates_are_left(image: Path) -> None:
    miss = {"item": f"{image}#1", "image": str(image), "subset": "day", "expected": ["京A12345"]}
    report = {
        "items": 3,
        "misses": [miss | {"found": ["京A1234", ""], "corners": None}],
        "problems": ["x: bad"],
    }
    told = anonymous(report)
    (masked,) = told["misses"]
    assert masked == {
        "item": f"{content_name(image)}#1",
        "image": content_name(image),
        "subset": "day",
        "expected": ["·······"],
        "found": ["······", ""],
        "corners": None,
    }
    assert told["problems"] == ["1 image or label skipped"]
    assert told["items"] == 3
    assert report["misses"][0]["expected"] == ["京A12345"]
    assert anonymous({"misses": [], "problems": []})["problems"] == []


def test_numbers_of_boxes_stay(image: Path) -> None:
    miss = {
        "item": str(image),
        "image": str(image),
        "expected": ["京A12345"],
        "found": ["2 boxes, 0 on a plate"],
    }
    (masked,) = anonymous({"misses": [miss], "problems": []}, texts=False)["misses"]
    assert masked["found"] == ["2 boxes, 0 on a plate"]
    assert masked["item"] == content_name(image)
