"""Random CTC posteriors of plates, of each kind that a decoder has to tell apart."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edge_lpr.pipeline.ctc import class_labels
from edge_lpr.plates import PLATE_CHARSET, plate_formats
from edge_lpr.types import Probs, Rng

__all__ = ["CHARSET", "KINDS", "LABELS", "drawn_posterior"]

CHARSET = tuple(c for c in PLATE_CHARSET if c != "·")  # with I: a recognizer may read what no plate has
LABELS = class_labels(CHARSET, unknown_class=True)
_INDEX = {c: i for i, c in enumerate(LABELS)}


def _plate(rng: Rng) -> list[str]:
    formats = plate_formats()
    positions = formats[rng.integers(len(formats))].positions
    text = [str(rng.choice(list(allowed))) for allowed in positions]
    if rng.random() < 0.2:  # what stands beside it is of the same glyph now and then
        text[1] = text[2] = "0" if rng.random() < 0.5 else "O"
    return text


def _laid_out(rng: Rng, text: list[str], sure: tuple[float, float]) -> Probs:
    """Each character for some steps, blanks between, and what is left over spread over a few classes."""
    rows: list[str] = [""] * int(rng.integers(1, 4))
    for before, c in zip(["", *text], text, strict=False):
        rows += [""] * int(rng.integers(1 if before == c else 0, 4)) + [c] * int(rng.integers(1, 4))
    rows += [""] * int(rng.integers(0, 12))
    probs = np.full((len(rows), len(LABELS)), 1e-9)
    for row, c in zip(probs, rows, strict=True):
        # Half of the blanks are as sure as those of a padded crop.
        p = 0.99999 if not c and rng.random() < 0.5 else rng.uniform(*sure)
        row[_INDEX[c]] += p
        # Where a character begins and ends is what networks doubt most.
        others = [0, _INDEX[text[rng.integers(len(text))]], *rng.integers(0, len(LABELS), 2)]
        np.add.at(row, others, (1 - p) * rng.dirichlet((2.0, 0.3, 0.2, 0.2)))
    return _normalised(probs)


def _normalised(probs: np.ndarray) -> Probs:
    return (probs / probs.sum(axis=1, keepdims=True)).astype(np.float32)


def _peaked(rng: Rng) -> Probs:
    return _laid_out(rng, _plate(rng), (0.97, 0.9999))


def _doubtful(rng: Rng) -> Probs:
    return _laid_out(rng, _plate(rng), (0.7, 1.0))


def _flat(rng: Rng) -> Probs:
    return _normalised(rng.dirichlet(np.full(len(LABELS), rng.uniform(0.02, 0.5)), int(rng.integers(8, 30))))


def _mixed(rng: Rng, text: list[str], other: list[str], share: float) -> Probs:
    """Two texts of one length, step by step in one proportion."""
    seed = int(rng.integers(1 << 30))
    spread = [_laid_out(np.random.default_rng(seed), one, (0.99, 0.9999)) for one in (text, other)]
    if len(spread[0]) != len(spread[1]):
        return spread[0]
    return _normalised(share * spread[0] + (1 - share) * spread[1])


def _two_way(rng: Rng) -> Probs:
    text = _plate(rng)
    other = list(text)
    for k in rng.integers(0, len(text), int(rng.integers(1, 3))):
        other[k] = LABELS[int(rng.integers(1, len(LABELS)))]
    return _mixed(rng, text, other, float(rng.uniform(0.2, 0.8)))


def _near_half(rng: Rng) -> Probs:
    text = _plate(rng)
    other = list(text)
    other[-1] = LABELS[int(rng.integers(1, len(LABELS)))]
    return _mixed(rng, text, other, float(0.5 + rng.choice([0.0, 1e-7, 1e-5, 1e-4, 1e-3, 1e-2, 3e-2])))


def _tied(rng: Rng) -> Probs:
    """In steps of 1/16, where many paths are exactly as good."""
    return (np.round(_doubtful(rng) * 16) / 16).astype(np.float32)


def _twins(rng: Rng) -> Probs:
    """O and 0, I and 1 in each other's place, or both at once."""
    probs = _laid_out(rng, _plate(rng), (0.95, 0.999))
    for pair in ("O0", "I1"):
        columns = [_INDEX[c] for c in pair]
        both = probs[:, columns].sum(axis=1, keepdims=True)
        share = rng.uniform(0, 1, both.shape).astype(np.float32)
        probs[:, columns] = np.concatenate([both * share, both * (1 - share)], axis=1)
    return probs


def _wrong_length(rng: Rng) -> Probs:
    text = _plate(rng)
    if rng.random() < 0.5:
        del text[int(rng.integers(len(text)))]
    else:
        text.insert(int(rng.integers(len(text) + 1)), LABELS[int(rng.integers(1, len(LABELS)))])
    return _laid_out(rng, text, (0.6, 0.999))


def _spread(rng: Rng) -> Probs:
    """A character that is the best class of no step, and yet more probably there than not."""
    text = [str(rng.choice(list(c))) for c in ("京沪粤", "ABCDEF", "DF", *["123456789"] * 5)]
    steps = int(rng.integers(2, 5))
    middle = np.full((steps, len(LABELS)), 1e-9)
    middle[:, _INDEX[text[2]]] = q = rng.uniform(0.1, 0.49, steps)
    middle[:, 0] = 1 - q
    halves = [_laid_out(rng, part, (0.995, 0.9999)) for part in (text[:2], text[3:])]
    return np.concatenate([halves[0], _normalised(middle), halves[1]])


KINDS: dict[str, Callable[[Rng], Probs]] = {
    "peaked": _peaked,
    "doubtful": _doubtful,
    "flat": _flat,
    "two-way": _two_way,
    "near half": _near_half,
    "tied": _tied,
    "twins": _twins,
    "spread": _spread,
    "wrong length": _wrong_length,
}


def drawn_posterior(kind: str, rng: Rng) -> Probs:
    """Draws a posterior, float32 T×C, of one of `KINDS`."""
    return KINDS[kind](rng)
