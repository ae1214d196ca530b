from __future__ import annotations

import math
import random

import pytest
from rapidfuzz.distance import Levenshtein

pytest.importorskip("scipy", reason="needs SciPy, which the extra 'calib' installs")

from edge_lpr.evaluation.significance import (
    CONFIDENCE,
    compare_pairs,
    confusions,
    items_needed,
    mcnemar,
    paired_interval,
    percentiles,
)


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
    # The ends of the exact interval of 10 of 100, the upper moved by what 0 of 100 allows to be won.
    assert result.low == pytest.approx(-0.1762, abs=1e-4)
    assert -0.1 < result.high < -0.03
    assert result.p_value == pytest.approx(2 / 1024)


@pytest.mark.parametrize("items", [1, 25, 736])
def test_none_of_n_is_no_certainty(items: int) -> None:
    """Clopper and Pearson's upper end of 0 of n, on either side."""
    same = compare_pairs(*2 * [{str(i): i % 2 == 0 for i in range(items)}])
    assert (same.difference, same.p_value) == (0, 1)
    assert same.high == -same.low == pytest.approx(1 - 0.025 ** (1 / items))


def test_nothing_is_known_of_no_items() -> None:
    nothing = compare_pairs({}, {"a": True})
    assert (nothing.items, nothing.low, nothing.high) == (0, -1, 1)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    items = 14
    counts = [(i, j) for i in range(items + 1) for j in range(items + 1 - i)]
    intervals = {pair: paired_interval(*pair, items) for pair in counts}
    for lost, won in ((0.005, 0.001), (0.03, 0.03), (0.2, 0.01), (0.4, 0.4)):
        held = sum(
            math.comb(items, i)
            * math.comb(items - i, j)
            * lost**i
            * won**j
            * (1 - lost - won) ** (items - i - j)
            for (i, j), (low, high) in intervals.items()
            if low <= won - lost <= high
        )
        assert held >= CONFIDENCE


def test_how_many_items_rule_a_loss_out() -> None:
    assert [items_needed(loss) for loss in (1, 0.1, 0.02, 0.005)] == [1, 36, 183, 736]
    assert -paired_interval(0, 0, 183)[0] <= 0.02 < -paired_interval(0, 0, 182)[0]
    needed = items_needed(0.02, lost=1, won=0, items=100)
    assert needed is not None and 700 < needed < 1200
    assert -paired_interval(math.ceil(needed / 100), 0, needed)[0] <= 0.02
    # As much is lost already, or more; and that nothing is lost cannot be shown.
    assert items_needed(0.02, lost=2, won=0, items=100) is None
    assert items_needed(0.0) is None


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
