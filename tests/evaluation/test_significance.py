from __future__ import annotations

import pytest

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
