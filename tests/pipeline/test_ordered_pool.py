from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from helpers.waiting import LONG

from edge_lpr.pipeline.ordered_pool import in_order


def slow_first(number: int) -> int:
    time.sleep(0.05 if number == 0 else 0)
    return 10 * number


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_results_come_in_order(workers: int) -> None:
    assert list(in_order(slow_first, range(20), workers)) == [(n, 10 * n) for n in range(20)]
    assert list(in_order(slow_first, [], workers)) == []


def test_as_many_are_at_work_as_there_are_workers() -> None:
    together = threading.Barrier(3, timeout=LONG)  # breaks, where fewer come
    assert len(list(in_order(lambda n: together.wait(), range(9), 3))) == 9


def test_one_worker_is_no_thread_and_takes_nothing_ahead() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for n in range(5):
            taken.append(n)
            yield n

    for n, name in in_order(lambda n: threading.current_thread().name, items(), 1):
        assert taken == list(range(n + 1))
        assert name == threading.current_thread().name


@pytest.mark.parametrize("workers", [1, 3])
def test_an_error_of_the_work_comes_in_its_turn(workers: int) -> None:
    def work(number: int) -> int:
        if number == 4:
            raise ValueError("the fifth")
        return number

    found = []
    with pytest.raises(ValueError, match="the fifth"):
        found.extend(n for n, _ in in_order(work, range(100), workers))
    for n, _ in in_order(lambda n: n, range(3), workers):
        found.append(n)
    assert found[-3:] == [0, 1, 2]


@pytest.mark.parametrize("workers", [1, 3])
def test_what_came_before_an_error_of_the_source_is_given_first(workers: int) -> None:
    def items() -> Iterator[int]:
        yield from range(5)
        raise OSError("unplugged")

    found = []
    with pytest.raises(OSError, match="unplugged"):
        for n, _ in in_order(slow_first, items(), workers):
            found.append(n)
    assert found == list(range(5))


def test_who_stops_early_leaves_no_thread() -> None:
    done: list[int] = []
    results = in_order(done.append, range(1000), 4)
    next(results)
    results.close()
    assert not [t.name for t in threading.enumerate() if t.name.startswith("edge-lpr-read")]
    assert len(done) <= 4


def test_what_is_at_work_together_is_bounded_in_weight() -> None:
    weights = [1, 1, 1, 9, 1, 4, 4, 4, 1]
    taken, given = 0, 0

    def items() -> Iterator[int]:
        nonlocal taken
        for weight in weights:
            assert sum(weights[given:taken]) < 8
            taken += 1
            yield weight

    for weight, result in in_order(lambda n: n, items(), 4, lambda n: n, 8):
        assert weight == result == weights[given]
        given += 1
    assert given == len(weights)
