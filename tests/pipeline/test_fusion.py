"""What the reads of one plate say together."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.reads import LABELS, read

from edge_lpr.pipeline.fusion import FusedText, Fusion, ReadSums, align, read_weight, text_similarity
from edge_lpr.plates import PlateRead


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
    assert np.allclose(sums.by_length[7].mean(), read("皖A12345").log_probs)


def test_two_reads_are_surer_than_one_and_many_no_surer_than_three() -> None:
    fusion = Fusion(LABELS)

    def score(count: int) -> float:
        sums = ReadSums()
        for _ in range(count):
            sums.add(read("皖A12345", score=0.6), 1.0)
        fused = fusion.fuse(sums)
        assert (fused.text, fused.kind) == ("皖A12345", "blue")
        return fused.min_score

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
    assert Fusion(LABELS).fuse(sums).text == expected


def sums_of(*reads: tuple[PlateRead, float]) -> ReadSums:
    sums = ReadSums()
    for one, weight in reads:
        sums.add(one, weight)
    return sums


def test_one_read_is_as_sure_as_it_was() -> None:
    # The recognizer's seventy other characters have no part in a doubt that they are not the cause of.
    alone = read("皖A12345", doubts={6: ("S", 0.1)}, score=0.99)
    fused = Fusion(LABELS).fuse(sums_of((alone, 0.3)))
    assert fused.char_scores == pytest.approx(alone.char_scores, abs=0.02)


@pytest.mark.parametrize(("position", "other"), [(0, "津"), (1, "C"), (4, "8")])
def test_characters_that_are_denied_have_low_scores(position: int, other: str) -> None:
    first = "京A12345"
    second = first[:position] + other + first[position + 1 :]
    even = Fusion(LABELS).fuse(sums_of((read(first), 2.0), (read(second), 2.0)))
    assert even.char_scores[position] == pytest.approx(0.5, abs=0.02)
    assert min(score for i, score in enumerate(even.char_scores) if i != position) > 0.95
    most = Fusion(LABELS).fuse(sums_of((read(first), 3.0), (read(second), 1.0)))
    assert most.text == first and most.min_score > 0.9
    few_more = Fusion(LABELS).fuse(sums_of((read(first), 2.1), (read(second), 1.9)))
    assert few_more.text == first and few_more.min_score < 0.75


def test_where_reads_deny_each_other_a_sure_reading_of_most_is_known() -> None:
    def known(score: float, weight: float, sure: float = 0.8) -> FusedText | None:
        doubt = 0.97 - score
        first = read("皖A12345", doubts={6: ("6", doubt)}, score=0.97)
        second = read("皖A12346", doubts={6: ("5", doubt)}, score=0.97)
        sums = sums_of((first, 0.7), (second, weight))
        assert Fusion(LABELS).fuse(sums).min_score < 0.75
        return Fusion(LABELS).known(sums, 0.75, sure)

    most = known(0.85, 0.3)
    assert most is not None and (most.text, most.kind) == ("皖A12345", "blue")
    assert most.min_score == pytest.approx(0.85)
    assert known(0.85, 0.6) is None  # a good half is no majority
    assert known(0.77, 0.3) is None and known(0.77, 0.3, 0.7) is not None


def test_text_that_is_no_plate_is_known_however_sure() -> None:
    sums = sums_of((read("EXIT", score=0.4, kind="text"), 0.2))
    known = Fusion(LABELS).known(sums, 0.75, 0.8)
    assert known is not None and (known.text, known.kind) == ("EXIT", "text")


def test_a_kind_that_no_read_knew_stays_unknown() -> None:
    night = sums_of(*[(read("皖A12345", kind="unknown"), 1.0)] * 3)
    assert Fusion(LABELS).fuse(night).kind == "unknown"
    dusk = sums_of((read("皖A12345", kind="unknown"), 3.0), (read("皖A12345", kind="yellow"), 1.0))
    assert Fusion(LABELS).fuse(dusk).kind == "yellow"
    green = sums_of((read("皖AD12345", kind="unknown"), 1.0))
    assert Fusion(LABELS).fuse(green).kind == "green"  # of one kind alone


def test_texts_that_nobody_can_read_do_not_add_up_for_ever() -> None:
    sums = sums_of(*[(read(f"皖A{n:05}"), 0.1) for n in range(200)], (read("皖A12345"), 50.0))
    best = sums.best_supported()
    assert best is not None and best.text == "皖A12345"
    assert len(sums._texts) <= 16
