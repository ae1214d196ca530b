"""Other texts of a plate: the right ones, in order, each with its exact probability."""

from __future__ import annotations

from itertools import groupby, product

import numpy as np
import pytest
from helpers.reads import CHARSET, LABELS, read

from edge_lpr.pipeline.candidates import LEAST, CandidateSearch, posterior_of
from edge_lpr.pipeline.ctc import PlateDecoder
from edge_lpr.pipeline.fusion import Fusion, ReadSums, read_weight
from edge_lpr.plates import PlateFormat
from edge_lpr.types import Probs

SHORT = [
    PlateFormat("two", {"a": "blue"}, ("AB", "AB0")),
    PlateFormat("three", {"b": "blue"}, ("B", "A", "O")),
]
SMALL = ("", "A", "B", "O", "0", "□")


def all_texts(probs: Probs) -> dict[str, float]:
    """The probability of every text that a format allows, each alignment added up by itself."""
    found: dict[str, float] = {}
    for path in product(range(len(SMALL)), repeat=len(probs)):
        read = [SMALL[c] for c, _ in groupby(path) if c]
        weight = float(np.prod([probs[t, c] for t, c in enumerate(path)]))
        # O and 0 are one glyph.
        glyphs = "".join("0" if c == "O" else c for c in read)
        found[glyphs] = found.get(glyphs, 0.0) + weight
    texts = ["".join(t) for plate in SHORT for t in product(*plate.positions)]
    return {t: found[t.replace("O", "0")] for t in texts if t.replace("O", "0") in found}


def blended(probs: Probs) -> Probs:
    """O and 0 as one glyph, for who walks all paths: a run may change between them."""
    merged = probs.copy()
    merged[:, SMALL.index("0")] += merged[:, SMALL.index("O")]
    merged[:, SMALL.index("O")] = 0
    return merged


@pytest.mark.parametrize("seed", range(4))
def test_they_are_those_that_trying_all_texts_gives(seed: int) -> None:
    rng = np.random.default_rng(seed)
    probs = rng.dirichlet(np.full(len(SMALL), 0.5), size=6).astype(np.float32)
    expected = sorted(all_texts(blended(probs)).items(), key=lambda one: -one[1])
    expected = [one for one in expected if one[1] >= LEAST]
    assert len(expected) > 3
    found = CandidateSearch(SMALL, SHORT).best(probs, 100)
    assert [one.text for one in found] == [text for text, _ in expected]
    assert [one.score for one in found] == pytest.approx([score for _, score in expected], rel=1e-5)
    fewer = CandidateSearch(SMALL, SHORT).best(probs, 2, but=expected[0][0])
    assert [one.text for one in fewer] == [text for text, _ in expected[1:3]]


def test_a_doubtful_character_gives_the_other_text() -> None:
    log_probs = np.full((7, len(LABELS)), np.log(1e-6), np.float32)
    for p, c in enumerate("皖A12345"):
        log_probs[p, LABELS.index(c)] = np.log(0.99)
    log_probs[0, LABELS.index("皖")], log_probs[0, LABELS.index("赣")] = np.log(0.6), np.log(0.39)
    decoder = PlateDecoder(CHARSET, unknown_class=True)
    probs = posterior_of(log_probs)
    assert decoder.decode(probs).text == "皖A12345"
    (first, *rest) = decoder.candidates(probs, 3, "皖A12345")
    assert first.text == "赣A12345" and first.score == pytest.approx(0.39 * 0.99**6, rel=1e-3)
    assert all(one.score < 0.01 for one in rest)


def test_those_of_a_track_come_from_all_its_reads() -> None:
    sums = ReadSums()
    for doubt in ("赣", "赣", "皖"):
        one = read("皖A12345", doubts={0: (doubt, 0.4)} if doubt != "皖" else None)
        sums.add(one, read_weight(one))
    fusion = Fusion(LABELS)
    fused = fusion.fuse(sums)
    (first, *_) = fusion.candidates(sums, 2, fused.text)
    assert (fused.text, first.text) == ("皖A12345", "赣A12345")
    assert 0 < first.score < fused.char_scores[0]


def test_what_is_surely_no_plate_has_none() -> None:
    probs = np.zeros((12, len(LABELS)), np.float32)
    probs[:, 0] = 1.0
    assert CandidateSearch(LABELS).best(probs, 5) == ()
