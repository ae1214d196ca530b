"""Likelihoods and alignments of texts, against all alignments there are."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from edge_lpr.pipeline.ctc import greedy_path
from edge_lpr.pipeline.ctc_likelihood import best_alignment, log_likelihoods


class TestLikelihood:
    @pytest.mark.parametrize("text", [[], [1], [1, 2], [1, 1], [2, 1, 2]])
    def test_equals_the_sum_over_all_alignments(self, text: list[int]) -> None:
        rng = np.random.default_rng(len(text))
        probs = rng.dirichlet(np.ones(3), size=5).astype(np.float32)
        total = 0.0
        for path in itertools.product(range(3), repeat=5):
            merged = [c for i, c in enumerate(path) if i == 0 or c != path[i - 1]]
            if [c for c in merged if c != 0] == text:
                total += float(np.prod(probs[np.arange(5), path]))
        assert log_likelihoods(np.log(probs), [text])[0] == pytest.approx(np.log(total), abs=1e-5)

    def test_a_text_too_long_for_the_steps_is_impossible(self) -> None:
        assert log_likelihoods(np.log(np.full((2, 3), 1 / 3, np.float32)), [[1, 1]])[0] == -np.inf

    def test_texts_of_all_lengths_at_once_are_as_likely_as_each_alone(self) -> None:
        logs = np.log(np.random.default_rng(4).dirichlet(np.ones(4), size=6)).astype(np.float32)
        texts = [[1, 2, 3], [], [2, 2], [3], [1, 2, 1, 2, 1]]
        alone = [log_likelihoods(logs, [text])[0] for text in texts]
        assert log_likelihoods(logs, texts).tolist() == alone


def test_the_best_alignment_is_the_most_probable_of_all() -> None:
    rng = np.random.default_rng(2)
    for classes in ([1, 2], [1, 1], [3]):
        probs = rng.dirichlet(np.ones(4), 5)
        logs = np.log(probs).astype(np.float32)
        states = best_alignment(logs, classes)
        at = [classes[s // 2] if s % 2 else 0 for s in states]
        best = max(
            (sum(logs[t, c] for t, c in enumerate(path)), path)
            for path in itertools.product(range(4), repeat=5)
            if greedy_path(np.eye(4, dtype=np.float32)[list(path)])[0] == classes
        )
        assert at == list(best[1])
