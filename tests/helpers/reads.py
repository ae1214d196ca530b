"""Reads whose log-probabilities say what a test wants them to."""

from __future__ import annotations

import numpy as np

from edge_lpr.pipeline.ctc import class_labels
from edge_lpr.plates import PLATE_CHARSET, PlateRead

CHARSET = PLATE_CHARSET
LABELS = class_labels(CHARSET, unknown_class=True)
_INDEX = {c: i for i, c in enumerate(LABELS)}


def read(
    text: str,
    x: float = 100,
    y: float = 100,
    doubts: dict[int, tuple[str, float]] | None = None,
    score: float = 0.95,
    height: float = 32,
    kind: str = "blue",
    width: float = 120,
) -> PlateRead:
    """A read whose position p says `doubts[p]`: that this other character has that probability."""
    log_probs = np.full((len(text), len(LABELS)), np.log(1e-4), np.float32)
    scores = []
    for p, c in enumerate(text):
        other, share = (doubts or {}).get(p, (c, 0.0))
        if other != c:
            log_probs[p, _INDEX[other]] = np.log(share)
        log_probs[p, _INDEX[c]] = np.log(score - share)
        scores.append(score - share)
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32) + np.float32([x, y])
    return PlateRead(text, kind, float(np.mean(scores)), min(scores), tuple(scores), corners, 0.9, log_probs)
