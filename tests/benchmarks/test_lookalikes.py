from __future__ import annotations

from pathlib import Path

import numpy as np

from edge_lpr.benchmarks.lookalikes import confusions, shrunk
from edge_lpr.io.plain_data import parse_json
from edge_lpr.serve.matching import LOOKALIKES, same_plate

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "lookalikes.json"


def test_characters_count_for_their_pair_whichever_was_read() -> None:
    pairs = [
        ("京A12345", "京A1Z345"),
        ("京A1Z345", "京A12345"),
        ("京A12345", "沪A12345"),
        ("京A12345", "京A1Z34"),
    ]
    assert confusions(pairs) == {"2Z": 2}


def test_a_plate_that_is_small_has_lost_its_strokes_and_not_its_size() -> None:
    stripes = np.tile(np.array([0, 255], np.uint8), 64)[None, :, None].repeat(64, 0).repeat(3, 2)
    small = shrunk(stripes, 8)
    assert small.shape == stripes.shape and float(np.ptp(small)) < 40
    assert shrunk(stripes, None) is stripes and shrunk(stripes, 64) is stripes


def test_the_table_has_the_digits_and_letters_that_are_mistaken_most() -> None:
    pairs = parse_json(RESULTS.read_text(encoding="utf-8"), str(RESULTS), ValueError)["pairs"]
    mixed = [pair for pair in pairs if pair.isascii() and pair[0].isdigit() and pair[1].isalpha()]
    assert all(same_plate(pair[0], pair[1]) for pair in mixed[:7])
    for group in LOOKALIKES:
        assert sum(c.isdigit() for c in group) == 1
