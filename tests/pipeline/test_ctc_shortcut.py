"""The shortcut of the decoder: the very reading of the search wherever it is taken."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from helpers.extras import reason
from helpers.posteriors import CHARSET, KINDS, LABELS, drawn_posterior

from edge_lpr.datasets.labels import load_labels
from edge_lpr.pipeline.ctc import PlateDecoder, Reading
from edge_lpr.pipeline.ctc_likelihood import log_likelihoods
from edge_lpr.pipeline.ctc_shortcut import GreedyShortcut, PlatePath
from edge_lpr.pipeline.reader import PlateReader
from edge_lpr.plates import PlateFormat
from edge_lpr.types import LogProbs, Probs

INDEX = {c: i for i, c in enumerate(LABELS)}
SEARCH = PlateDecoder(CHARSET, unknown_class=True, shortcut=False)


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each posterior that comes so far, whether the shortcut is taken."""
    found: list[bool] = []
    real = GreedyShortcut.find

    def find(self: GreedyShortcut, probs: Probs, logs: LogProbs) -> PlatePath | None:
        plate = real(self, probs, logs)
        found.append(plate is not None)
        return plate

    monkeypatch.setattr(GreedyShortcut, "find", find)
    return found


def same(one: Reading, other: Reading) -> bool:
    """Tells whether two readings are equal to the last bit."""
    return (
        (one.text, one.format, one.char_scores, one.score, one.min_score)
        == (other.text, other.format, other.char_scores, other.score, other.min_score)
        and one.log_probs.dtype == other.log_probs.dtype
        and np.array_equal(one.log_probs, other.log_probs)
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("prior", [12.0, 1.0, 0.0])
def test_reads_as_the_search_does(kind: str, prior: float, taken: list[bool]) -> None:
    rng = np.random.default_rng(16)
    search = PlateDecoder(CHARSET, unknown_class=True, format_prior=prior, shortcut=False)
    decoder = PlateDecoder(CHARSET, unknown_class=True, format_prior=prior)
    for _ in range(260 if prior == 12.0 else 30):
        probs = drawn_posterior(kind, rng)
        assert same(search.decode(probs), decoder.decode(probs))
    if kind in ("peaked", "twins") and prior >= 1.0:
        assert sum(taken) > 0.5 * len(taken)
    assert taken or prior < 1.0, "with little of a preference the likelihoods decide"


@pytest.mark.parametrize("share", [0.5, 0.5 + 1e-7, 0.5005, 0.502, 0.51, 0.6])
def test_a_text_with_half_of_the_mass_is_searched_and_one_with_more_is_not(
    share: float, taken: list[bool]
) -> None:
    probs = np.full((15, len(LABELS)), 1e-9, np.float32)
    probs[::2, 0] = 1.0
    for k, c in enumerate("京A12345"):
        probs[2 * k + 1, INDEX[c]] = 1.0
    probs[13, INDEX["5"]], probs[13, INDEX["6"]] = share, 1 - share
    reading = PlateDecoder(CHARSET, unknown_class=True).decode(probs)
    assert same(reading, SEARCH.decode(probs))
    assert reading.text == "京A12345"
    assert taken == [share > 0.501]


def test_the_likelihood_is_that_of_all_alignments_and_not_of_the_best_path(taken: list[bool]) -> None:
    # Whether a character stands for one step or two is open for each: 1/128 for each path, but one text.
    rows: list[dict[str, float]] = []
    for c in "京A12345":
        rows += [{c: 0.99}, {c: 0.6, "": 0.39}, {"": 0.99}]
    probs = np.full((len(rows), len(LABELS)), 1e-9, np.float32)
    for row, shown in zip(probs, rows, strict=True):
        for c, p in shown.items():
            row[INDEX[c]] = p
    reading = PlateDecoder(CHARSET, unknown_class=True).decode(probs)
    assert probs.max(axis=1).prod() < 0.1
    assert same(reading, SEARCH.decode(probs)) and reading.text == "京A12345"
    assert taken == [True]


@pytest.mark.parametrize("text", ["粤O12345", "粤O1234F", "粤O01234F", "粤002345", "粤O02345"])
def test_one_glyph_that_may_be_two_characters_is_searched(text: str, taken: list[bool]) -> None:
    # A run of the glyph is O, or O and 0 that follow one another: the formats' strings share its probability.
    rows = [c for c in ("", *text, "") for _ in range(3)]
    probs = np.full((len(rows), len(LABELS)), 1e-7, np.float32)
    probs[np.arange(len(rows)), [INDEX[c] for c in rows]] = 0.99
    assert same(PlateDecoder(CHARSET, unknown_class=True).decode(probs), SEARCH.decode(probs))
    assert taken == [False]


def test_no_string_of_a_format_has_more_than_what_the_shortcut_takes(taken: list[bool]) -> None:
    plates = [
        PlateFormat("one", {"one": "blue"}, ("皖苏", "AB", "12")),
        PlateFormat("two", {"two": "blue"}, ("皖苏", "AB", "12", "AB")),
    ]
    decoder = PlateDecoder(CHARSET, unknown_class=True, format_prior=1e6, formats=plates)
    columns = [0, *(INDEX[c] for c in "皖苏AB12")]
    every = [[INDEX[c] for c in text] for plate in plates for text in itertools.product(*plate.positions)]
    rng = np.random.default_rng(6)
    for _ in range(200):
        text = every[int(rng.integers(len(every)))]
        probs = np.full((9, len(LABELS)), 1e-9, np.float32)
        probs[:, columns] = rng.uniform(0, 0.4) * rng.dirichlet(np.full(7, 0.1), size=9)
        probs[np.arange(9), [*np.repeat(text, 2), *[0] * (9 - 2 * len(text))]] += 0.7
        probs /= probs.sum(axis=1, keepdims=True)
        count = len(taken)
        reading = decoder.decode(probs)
        if len(taken) > count and taken[-1]:
            likelihoods = log_likelihoods(np.log(np.maximum(probs, 1e-10)), every)
            best = every[int(likelihoods.argmax())]
            assert reading.text == "".join(LABELS[c] for c in best)
    assert sum(taken) > 20


def test_the_shortcut_tells_at_most_the_texts_probability() -> None:
    rng = np.random.default_rng(7)
    decoder = PlateDecoder(CHARSET, unknown_class=True)
    shortcut = decoder._shortcut
    assert shortcut is not None
    found = 0
    for _ in range(100):
        probs = drawn_posterior("peaked", rng)
        probs[:, [INDEX["O"], INDEX["I"]]] = probs[:, [INDEX["0"], INDEX["1"]]]
        logs = np.log(np.maximum(probs, 1e-10))
        if (plate := shortcut.find(probs, logs)) is not None:
            found += 1
            assert plate.log_likelihood <= log_likelihoods(logs, [plate.classes])[0] + 1e-4
            assert plate.log_likelihood > np.log(0.5)
            assert plate.steps == sorted(plate.steps)
    assert found > 30


def test_where_candidates_are_wanted_their_search_is_the_same() -> None:
    rng = np.random.default_rng(8)
    decoder = PlateDecoder(CHARSET, unknown_class=True)
    listed = 0
    for _ in range(30):
        probs = drawn_posterior("two-way", rng)
        text = decoder.decode(probs).text
        candidates = decoder.candidates(probs, 3, text)
        assert candidates == SEARCH.candidates(probs, 3, SEARCH.decode(probs).text)
        assert text not in [candidate.text for candidate in candidates]
        listed += bool(candidates)
    assert listed > 10


@pytest.mark.slow
def test_reads_the_real_plates_as_the_search_does(
    shared_data: Path, taken: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime", reason=reason("onnxruntime", "cpu"))
    real = PlateDecoder.decode

    def decode(self: PlateDecoder, probs: Probs) -> Reading:
        reading = real(self, probs)
        assert same(reading, real(search, probs))
        return reading

    plates = 0
    with PlateReader() as reader:
        spec = reader.bundle.rec
        search = PlateDecoder(spec.charset, spec.unknown_class, shortcut=False)
        monkeypatch.setattr(PlateDecoder, "decode", decode)
        for sample in load_labels([shared_data]).samples:
            plates += sum(not plate.ignored for plate in sample.plates or ())
            if sample.crop:
                reader.read_crops([sample.read()])
            else:
                reader.read(sample.read())
    assert plates >= 1100
    assert sum(taken) > 0.85 * len(taken)
