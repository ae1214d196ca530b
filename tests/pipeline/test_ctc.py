"""CTC decoding: against hand-made posteriors, brute force and PaddleOCR's rules."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from edge_lpr.pipeline.ctc import (
    UNKNOWN,
    PlateDecoder,
    class_labels,
    greedy,
    greedy_path,
)
from edge_lpr.pipeline.ctc_likelihood import log_likelihoods
from edge_lpr.plates import PLATE_CHARSET, PlateFormat
from edge_lpr.types import Probs

CHARSET = tuple(c for c in PLATE_CHARSET if c != "·")  # with I: a recognizer may read what no plate has
LABELS = class_labels(CHARSET, unknown_class=True)
INDEX = {c: i for i, c in enumerate(LABELS)}


def posterior(steps: list[dict[str, float]]) -> Probs:
    """One row per step, the rest of its probability on the blank ("" names the blank)."""
    probs = np.full((len(steps), len(LABELS)), 1e-7, np.float32)
    for row, chars in zip(probs, steps, strict=True):
        for c, p in chars.items():
            row[INDEX[c]] = p
        row[0] += max(0.0, 1 - float(row.sum()))
    return probs


def spelled(text: str, p: float = 0.97) -> Probs:
    return posterior([step for c in text for step in ({c: p}, {})])


class TestGreedy:
    def test_merges_repeats_and_drops_blanks(self) -> None:
        probs = posterior([{}, {"A": 0.9}, {"A": 0.8}, {}, {"A": 0.7}, {"B": 0.6}, {}])
        assert greedy(probs, CHARSET, unknown_class=True) == ("AAB", pytest.approx((0.9 + 0.7 + 0.6) / 3))

    def test_empty_text_scores_zero(self) -> None:
        assert greedy(posterior([{}, {}]), CHARSET, unknown_class=True) == ("", 0.0)

    def test_scores_the_step_where_a_run_begins_as_paddleocr_does(self) -> None:
        _, score = greedy(posterior([{"A": 0.6}, {"A": 0.99}]), CHARSET, unknown_class=True)
        assert score == pytest.approx(0.6)

    def test_other_class_has_its_own_sign(self) -> None:
        assert greedy(posterior([{UNKNOWN: 0.9}]), CHARSET, unknown_class=True)[0] == UNKNOWN


class TestPlateDecoder:
    @pytest.mark.parametrize(
        ("text", "name"),
        [
            ("皖A12345", "standard"),
            ("粤O88888", "standard"),
            ("皖AD11166", "green small"),
            ("京A12345F", "green large"),
            ("鲁A1234警", "police"),
            ("川A0011学", "learner"),
            ("苏B33AA挂", "trailer"),
            ("粤ZAB12港", "hong kong"),
            ("粤ZAB12澳", "macau"),
            ("沪A0023领", "consulate"),
            ("224578使", "embassy"),
            ("使224578", "embassy old"),
        ],
    )
    def test_reads_each_format(self, text: str, name: str) -> None:
        reading = PlateDecoder(CHARSET, unknown_class=True).decode(spelled(text))
        assert reading.format is not None
        assert (reading.text, reading.format.name) == (text, name)
        assert reading.min_score == pytest.approx(0.97)
        # As likely as the free text: it is a plate without being preferred.
        neutral = PlateDecoder(CHARSET, unknown_class=True, format_prior=1e-3).decode(spelled(text))
        assert neutral.format is not None and neutral.text == text

    def test_takes_the_best_character_that_the_position_allows(self) -> None:
        # An O that is not in second place is a zero, an I is a one, and the province is never a letter.
        steps = [{"皖": 0.45, "A": 0.5}, {}, {"A": 0.9}, {}]
        for c, wrong in (("0", "O"), ("1", "I"), ("2", "Z"), ("3", "3"), ("4", "4")):
            steps += [{wrong: 0.6, c: 0.39} if c != wrong else {c: 0.9}, {}]
        reading = PlateDecoder(CHARSET, unknown_class=True).decode(posterior(steps))
        assert reading.text == "皖A01Z34"
        assert reading.min_score == pytest.approx(0.45)

    def test_characters_of_one_glyph_share_their_probability(self) -> None:
        # On a plate O and 0 are the same sign: only the position tells that this one is the letter.
        steps = [step for c in ("粤", "0", "A", "2", "1", "6", "0") for step in ({c: 0.95}, {})]
        reading = PlateDecoder(CHARSET, unknown_class=True).decode(posterior(steps))
        assert reading.text == "粤OA2160"
        assert reading.min_score == pytest.approx(0.95)
        # What fusion adds up stays a distribution: it shares out the glyph's probability by itself.
        assert np.exp(reading.log_probs).sum(axis=1) == pytest.approx(np.ones(7), abs=1e-4)

    def test_never_a_veto_free_text_that_reads_much_better_stays_text(self) -> None:
        probs = np.maximum(spelled("HELLOWORLD", 0.97), np.float32(3e-4))
        assert PlateDecoder(CHARSET, unknown_class=True).decode(probs).format is None
        assert PlateDecoder(CHARSET, unknown_class=True, format_prior=1e6).decode(probs).format is not None

    def test_strength_zero_takes_a_plate_only_where_it_is_the_best_text(self) -> None:
        steps = [{c: 0.9} for c in "皖A1234"]
        doubtful = posterior([*steps, {"港": 0.55, "0": 0.4}])
        assert PlateDecoder(CHARSET, unknown_class=True, format_prior=0.0).decode(doubtful).format is None
        assert PlateDecoder(CHARSET, unknown_class=True, format_prior=1.0).decode(doubtful).text == "皖A12340"

    def test_mass_on_the_other_class_is_no_plate(self) -> None:
        steps = [{UNKNOWN: 0.98, c: 0.015} for c in "皖A12345"]
        assert PlateDecoder(CHARSET, unknown_class=True).decode(posterior(steps)).format is None

    def test_repeated_characters_need_a_blank_between(self) -> None:
        probs = posterior([{c: 0.9} for c in "皖A1"] + [{"1": 0.5}, {"1": 0.9}] + [{c: 0.9} for c in "234"])
        assert PlateDecoder(CHARSET, unknown_class=True).decode(probs).text == "皖A11234"

    def test_finds_the_most_probable_string_of_a_format(self) -> None:
        # Against every string of a small format, by exact likelihood.
        plate = PlateFormat("toy", {"toy": "blue"}, ("皖苏", "AB", "12"))
        decoder = PlateDecoder(CHARSET, unknown_class=True, format_prior=1e6, formats=[plate])
        rng = np.random.default_rng(5)
        columns = [INDEX[c] for c in "皖苏AB12"]
        agreed = 0
        for _ in range(50):
            probs = np.full((8, len(LABELS)), 1e-6, np.float32)
            probs[:, [0, *columns]] = rng.dirichlet(np.full(7, 0.3), size=8)
            reading = decoder.decode(probs)
            if reading.format is None:
                continue
            logs = np.log(np.maximum(probs, 1e-10))
            every = ["".join(t) for t in itertools.product(*plate.positions)]
            best = max(every, key=lambda t: log_likelihoods(logs, [[INDEX[c] for c in t]])[0])
            agreed += best == reading.text
            assert plate.accepts(reading.text)
        # Viterbi proposes, the sum disposes: the best path's string is nearly always the best string.
        assert agreed >= 40

    def test_evidence_is_a_distribution_without_the_blank(self) -> None:
        reading = PlateDecoder(CHARSET, unknown_class=True).decode(spelled("皖A12345"))
        assert reading.log_probs.shape == (7, len(LABELS))
        assert np.exp(reading.log_probs).sum(axis=1) == pytest.approx(np.ones(7), abs=1e-5)
        assert reading.log_probs[:, 0].max() < -15

    def test_formats_whose_characters_the_charset_lacks_are_left_out(self) -> None:
        decoder = PlateDecoder([c for c in CHARSET if c != "警"], unknown_class=False)
        assert "police" not in {plate.name for plate in decoder.formats}

    def test_a_posterior_of_blanks_is_empty_text(self) -> None:
        reading = PlateDecoder(CHARSET, unknown_class=True).decode(posterior([{}] * 10))
        assert (reading.text, reading.score, reading.format) == ("", 0.0, None)


def test_greedy_path_gives_the_steps_where_runs_begin() -> None:
    assert greedy_path(posterior([{"A": 0.9}, {"A": 0.9}, {"B": 0.9}])) == ([INDEX["A"], INDEX["B"]], [0, 2])


def shown_as(text: str, sure: float = 0.98, steps: int = 30) -> tuple[PlateDecoder, Probs]:
    """Each character for one step, blanks between them; `□` for the unknown class."""
    decoder = PlateDecoder(CHARSET, unknown_class=True)
    probs = np.full((steps, len(decoder.labels)), (1 - sure) / len(decoder.labels), np.float32)
    for step in range(steps):
        shown = text[step // 2] if step % 2 and step // 2 < len(text) else ""
        probs[step, decoder.labels.index(shown)] += sure
    return decoder, probs / probs.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("shown", ["京AM12345", "新A□1□1234", "苏A1234567", "皖A□12345"])
def test_a_character_that_the_text_leaves_out_counts_in_its_score(shown: str) -> None:
    decoder, probs = shown_as(shown)
    reading = decoder.decode(probs)
    assert reading.format is None or reading.min_score < 0.1


def test_what_a_text_leaves_out_is_in_its_evidence_for_what_frames_say_together() -> None:
    decoder, probs = shown_as("京AM12345", 0.6)
    reading = decoder.decode(probs)
    assert reading.text == "京AM1234" and reading.min_score < 0.5
    assert np.exp(reading.log_probs).sum(axis=1) == pytest.approx(np.ones(8 - 1), abs=1e-5)
    (beside,) = np.flatnonzero(np.exp(reading.log_probs[:, 0]) > 0.5)
    assert reading.char_scores[beside] == reading.min_score


def test_a_text_that_leaves_nothing_out_keeps_its_scores() -> None:
    decoder, probs = shown_as("京AM1234")
    reading = decoder.decode(probs)
    assert reading.text == "京AM1234"
    assert reading.min_score > 0.97
