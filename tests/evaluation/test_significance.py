from __future__ import annotations

import random

import pytest
from rapidfuzz.distance import Levenshtein

from edge_lpr.evaluation.significance import compare_pairs, confusions, mcnemar, percentiles


def test_mcnemar_is_the_exact_binomial() -> None:
    assert mcnemar(0, 0) == 1
    assert mcnemar(5, 5) == 1
    assert mcnemar(6, 0) == pytest.approx(2 / 64)
    assert mcnemar(1, 9) == mcnemar(9, 1) == pytest.approx(2 * (1 + 10) / 1024)


def test_paired_difference_and_its_interval() -> None:
    first = {str(i): i < 90 for i in range(100)}
    second = {str(i): i < 80 for i in range(100)} | {"only here": True}
    result = compare_pairs(first, second)
    assert (result.items, result.lost, result.won) == (100, 10, 0)
    assert result.difference == pytest.approx(-0.10)
    assert -0.18 < result.low < -0.10 < result.high < -0.03
    assert result.p_value == pytest.approx(2 / 1024)
    assert compare_pairs(first, second) == result
    same = compare_pairs(first, first)
    assert (same.low, same.high, same.p_value) == (0, 0, 1)
    assert compare_pairs({}, second).items == 0


def test_percentiles_are_milliseconds() -> None:
    values = percentiles([0.001 * k for k in range(1, 101)])
    assert values == {"p50": 50.5, "p90": 90.1, "p99": 99.01}
    assert percentiles([]) == {}


def test_confusions_follow_the_shortest_edit() -> None:
    counts = confusions([("皖A0D123", "皖AOD123"), ("皖A12345", "A12345"), ("皖A1", "皖A11"), ("x", "x")])
    assert counts == {("0", "O"): 1, ("皖", ""): 1, ("", "1"): 1}


def test_a_misread_character_keeps_its_place() -> None:
    # Putting a 1 in and leaving a 1 out would be as short.
    assert confusions([("皖A01", "皖A10")]) == {("0", "1"): 1, ("1", "0"): 1}
    # Three replacements would be longer than leaving the first character out and putting one in.
    assert confusions([("皖A12", "A123")]) == {("皖", ""): 1, ("", "3"): 1}


def test_confusions_are_as_many_as_edits_and_turn_the_truth_into_the_text() -> None:
    rng = random.Random(1)
    for _ in range(2000):
        truth, text = ("".join(rng.choices("皖A01B8", k=rng.randrange(9))) for _ in range(2))
        counts = confusions([(truth, text)])
        assert counts.total() == Levenshtein.distance(truth, text)
        letters = dict.fromkeys(truth + text, 0)
        for (a, b), n in counts.items():
            letters.update({c: letters[c] + sign * n for c, sign in ((a, -1), (b, 1)) if c})
        assert letters == {c: text.count(c) - truth.count(c) for c in letters}
        assert confusions([(truth, text)]) == counts
