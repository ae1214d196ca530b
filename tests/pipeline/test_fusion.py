"""What the reads of one plate say together."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.reads import LABELS, read

from edge_lpr.pipeline.fusion import Fusion, ReadSums, align, read_weight, text_similarity


def test_align_finds_the_lost_character() -> None:
    full, short = read("皖A12345").log_probs, read("皖A1245").log_probs
    assert align(full, short) == [(0, 0), (1, 1), (2, 2), (3, 3), (5, 4), (6, 5)]


def test_weight_grows_with_score_and_detail() -> None:
    assert read_weight(read("皖A12345", score=0.9)) > read_weight(read("皖A12345", score=0.6)) > 0
    assert read_weight(read("皖A12345", height=32)) > read_weight(read("皖A12345", height=12))


def test_similarity() -> None:
    assert text_similarity("皖A12345", "皖A12345") == 1
    assert text_similarity("皖A12345", "苏B98761") < 0.5


def test_sums_hold_each_length_and_kind_by_weight() -> None:
    sums = ReadSums()
    for text, kind, weight in (
        ("皖A12345", "blue", 0.5),
        ("皖A12345", "white", 0.25),
        ("皖A1234", "blue", 0.1),
    ):
        sums.add(read(text, kind=kind), weight)
    assert {n: s.weight for n, s in sums.by_length.items()} == {7: 0.75, 6: 0.1}
    assert sums.kinds == pytest.approx({"blue": 0.6, "white": 0.25})
    assert np.allclose(sums.by_length[7].mean(), np.maximum(read("皖A12345").log_probs, np.log(1e-3)))


def test_two_reads_are_surer_than_one_and_many_no_surer_than_three() -> None:
    fusion = Fusion(LABELS)

    def score(count: int) -> float:
        sums = ReadSums()
        for _ in range(count):
            sums.add(read("皖A12345", score=0.6), 1.0)
        text, scores, kind = fusion.fuse(sums)
        assert (text, kind) == ("皖A12345", "blue")
        return min(scores)

    assert score(1) < score(2) < score(3) == pytest.approx(score(30))


@pytest.mark.parametrize(
    ("part", "whole", "weight", "expected"),
    [
        ("皖AD1234", "皖AD12345", 0.3, "皖AD12345"),
        ("皖AD1234", "皖AD12345", 0.1, "皖AD1234"),
        ("皖A81234", "皖AD12345", 0.3, "皖A81234"),
    ],
    ids=["a part", "one stray read", "another plate"],
)
def test_a_whole_plate_outweighs_many_reads_of_its_part(
    part: str, whole: str, weight: float, expected: str
) -> None:
    sums = ReadSums()
    sums.add(read(part), 1.0)
    sums.add(read(whole, kind="green"), weight)
    assert Fusion(LABELS).fuse(sums)[0] == expected
