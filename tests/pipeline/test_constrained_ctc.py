"""The search over a position automaton, against all alignments there are."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from edge_lpr.pipeline.constrained_ctc import PositionAutomaton
from edge_lpr.pipeline.ctc_likelihood import BLANK
from edge_lpr.types import LogProbs

Format = list[list[int]]


def merged(path: tuple[int, ...]) -> list[int]:
    """What an alignment spells."""
    return [c for i, c in enumerate(path) if c != BLANK and (i == 0 or c != path[i - 1])]


def best_by_force(logs: LogProbs, sets: Format) -> tuple[float, list[int]]:
    """The most probable alignment of all that spell an allowed string, and the string."""
    found = []
    for path in itertools.product(range(logs.shape[1]), repeat=len(logs)):
        text = merged(path)
        if len(text) == len(sets) and all(c in allowed for c, allowed in zip(text, sets, strict=True)):
            found.append((float(sum(logs[t, c] for t, c in enumerate(path))), text))
    return max(found)


def drawn(seed: int, steps: int, classes: int) -> LogProbs:
    probs = np.random.default_rng(seed).dirichlet(np.full(classes, 0.7), size=steps) + 1e-3
    return np.log(probs / probs.sum(axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("sets", [[[1, 2], [2, 3]], [[1], [1, 2, 3], [3]], [[1, 2, 3]] * 3])
def test_finds_what_all_alignments_hold(seed: int, sets: Format) -> None:
    logs = drawn(seed, 6, 4)
    ((index, text, at),) = PositionAutomaton([sets], 4).search(logs)
    score, wanted = best_by_force(logs, sets)
    assert index == 0
    assert text == wanted, score
    assert at == sorted(at) and len(set(at)) == len(at)


@pytest.mark.parametrize("seed", range(6))
def test_formats_come_best_first(seed: int) -> None:
    logs = drawn(seed, 6, 4)
    formats: list[Format] = [[[1], [2]], [[2, 3], [1], [3]], [[3]]]
    wanted = sorted(((*best_by_force(logs, sets), i) for i, sets in enumerate(formats)), reverse=True)
    found = PositionAutomaton(formats, 4).search(logs, best=2)
    assert [(i, text) for i, text, _ in found] == [(i, text) for _, text, i in wanted[:2]]


def test_a_character_twice_needs_a_blank_between() -> None:
    sets = [[1, 2], [1, 2]]
    runs = np.log(np.float32([[0.05, 0.9, 0.05]] * 3))
    ((_, text, _),) = PositionAutomaton([sets], 3).search(runs)
    assert text == best_by_force(runs, sets)[1]
    between = np.log(np.float32([[0.05, 0.9, 0.05], [0.9, 0.05, 0.05], [0.05, 0.9, 0.05]]))
    ((_, text, at),) = PositionAutomaton([sets], 3).search(between)
    assert (text, at) == ([1, 1], [0, 2])


def test_a_character_stands_where_it_is_most_probable() -> None:
    logs = np.log(np.float32([[0.3, 0.6, 0.1], [0.05, 0.9, 0.05], [0.3, 0.6, 0.1], [0.1, 0.1, 0.8]]))
    assert PositionAutomaton([[[1], [2]]], 3).search(logs) == [(0, [1, 2], [1, 3])]


def test_a_format_that_does_not_fit_is_not_found() -> None:
    logs = np.log(np.float32([[0.4, 0.59, 0.01]] * 2))
    assert PositionAutomaton([[[1], [1], [1]]], 3).search(logs) == []
    never = np.log(np.float32([[0.4, 0.6 - 1e-6, 1e-6]] * 4))
    assert PositionAutomaton([[[2]]], 3).search(never) == []


def test_sure_blanks_change_nothing() -> None:
    logs = drawn(3, 5, 4)
    sure = np.log(np.float32([[1 - 3e-6, 1e-6, 1e-6, 1e-6]] * 40))
    automaton = PositionAutomaton([[[1, 2], [2, 3]]], 4)
    ((_, text, at),) = automaton.search(logs)
    ((_, padded, later),) = automaton.search(np.concatenate([sure, logs, sure]))
    assert padded == text
    assert later == [step + 40 for step in at]
