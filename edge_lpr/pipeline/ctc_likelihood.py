"""How likely a text is under a CTC posterior, over all its alignments and along the best of them.

A. Graves et al., "Connectionist Temporal Classification", ICML 2006, section 4.1.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edge_lpr.types import LogProbs

__all__ = ["BLANK", "best_alignment", "log_likelihoods"]

BLANK = 0


def log_likelihoods(log_probs: LogProbs, texts: Sequence[Sequence[int]]) -> NDArray[np.float64]:
    """Returns the natural logarithms of the probabilities that CTC gives to texts, over all their alignments.

    The forward recursion, for all texts at once.

    Args:
        log_probs: float32 T×C natural logarithms.
        texts: The texts, one at least, as classes without blanks.

    Returns:
        float64 N; -inf for a text that is too long for the steps.
    """
    lengths = np.array([len(text) for text in texts])
    # Blanks before, between and after the characters; what follows a shorter text reaches none of its states.
    extended = np.full((len(texts), 2 * int(lengths.max()) + 1), BLANK, np.int64)
    for row, text in zip(extended, texts, strict=True):
        row[1 : 2 * len(text) : 2] = text
    skip = np.full(extended.shape, -np.inf)
    skip[:, 3::2] = np.where(extended[:, 3::2] != extended[:, 1:-2:2], 0.0, -np.inf)
    emit = log_probs[:, extended].astype(np.float64)
    alpha = np.full((len(texts), extended.shape[1] + 2), -np.inf)
    alpha[:, 2:4] = emit[0, :, :2]
    for step in emit[1:]:
        stay = np.logaddexp(alpha[:, 2:], alpha[:, 1:-1])
        np.logaddexp(stay, alpha[:, :-2] + skip, out=stay)
        np.add(stay, step, out=alpha[:, 2:])
    rows = np.arange(len(texts))
    # Before an empty text's one state there is none, and never any probability.
    found: NDArray[np.float64] = np.logaddexp(alpha[rows, 2 + 2 * lengths], alpha[rows, 1 + 2 * lengths])
    return found


def best_alignment(log_probs: LogProbs, classes: Sequence[int]) -> list[int]:
    """Aligns a text to a posterior: the most probable of the alignments that `log_likelihoods` adds up.

    Args:
        log_probs: float32 T×C natural logarithms, T enough for the text.
        classes: The text, as classes without blanks, one at least.

    Returns:
        For each step an even number 2k for the blank before character k, or 2k + 1 for character k itself.
    """
    extended = np.zeros(2 * len(classes) + 1, np.int64)
    extended[1::2] = classes
    states = np.arange(len(extended))
    skip = np.full(len(extended), -np.inf)
    skip[3::2] = np.where(extended[3::2] != extended[1:-2:2], 0.0, -np.inf)
    emit = log_probs[:, extended].astype(np.float64)
    score = np.where(states < 2, emit[0], -np.inf)
    came = np.zeros(emit.shape, np.int64)
    for t in range(1, len(emit)):
        before = np.stack(
            [score, np.append(-np.inf, score[:-1]), np.append([-np.inf] * 2, score[:-2]) + skip]
        )
        came[t] = before.argmax(axis=0)
        score = before[came[t], states] + emit[t]
    state = int(np.argmax(score[-2:])) + len(score) - 2
    path = [state]
    for t in range(len(emit) - 1, 0, -1):
        state -= int(came[t, state])
        path.append(state)
    return path[::-1]
