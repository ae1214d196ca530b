from __future__ import annotations

from edge_lpr.backoff import backoff


def test_pauses_double_up_to_the_longest() -> None:
    assert [backoff(failures, 0.5, 3) for failures in (1, 2, 3, 4, 10_000)] == [0.5, 1, 2, 3, 3]
    assert backoff(1, 5, 3) == 3
    assert backoff(10_000, 1) == backoff(31, 1) == 2**30
