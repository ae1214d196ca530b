from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_lpr.datasets.labels import LabelledPlate
from edge_lpr.evaluation.metrics import DetScore, EndToEndScore, RecScore


def box(x: float, y: float, w: float = 10, h: float = 4) -> NDArray[np.float32]:
    return np.array([[x, y], [x + w, y], [x + w, y + h], [x, y + h]], np.float32)


@pytest.mark.parametrize(
    ("a", "b", "d"),
    [("", "", 0), ("abc", "", 3), ("皖A1", "皖A1", 0), ("皖A1", "A12", 2), ("kitten", "sitting", 3)],
)
def test_edit_distance(a: str, b: str, d: int) -> None:
    for truth, text in ((a, b), (b, a)):
        score = RecScore()
        score.add(truth, text)
        assert score.distance * max(len(a), len(b), 1) == d


def test_detection_counts() -> None:
    score = DetScore()
    plates = [
        LabelledPlate("a", box(0, 0)),
        LabelledPlate("b", box(50, 0)),
        LabelledPlate("###", box(100, 0)),
    ]
    # One box fits, a second on the same plate is false, one in the ignored region does not count.
    assert score.add(plates, [box(1, 0), box(0, 0), box(101, 0, 5, 2)]) == 1
    assert (score.labelled, score.found, score.matched) == (2, 2, 1)
    assert (score.precision, score.recall, score.hmean) == (0.5, 0.5, 0.5)
    score.add([], [box(0, 0)])
    assert score.precision == pytest.approx(1 / 3)
    # DetMetric asks for more than 0.5, not 0.5 itself.
    exact = DetScore()
    assert exact.add([LabelledPlate("a", box(0, 0, 10, 10))], [box(0, 0, 10, 5)]) == 0
    assert (exact.precision, exact.recall, exact.hmean) == (0, 0, 0)


def test_recognition_counts() -> None:
    score = RecScore()
    assert score.add("皖A12345", "皖A12345")
    assert not score.add("皖A12345", "皖A1234")
    assert not score.add("皖A12345", "")
    assert score.acc == pytest.approx(1 / 3)
    assert score.norm_edit_dis == pytest.approx(1 - (0 + 1 / 7 + 1) / 3)
    assert RecScore().norm_edit_dis == 0


def test_end_to_end_counts_by_the_script() -> None:
    score = EndToEndScore()
    plates = [LabelledPlate("皖A12345", box(0, 0)), LabelledPlate("皖B00000", box(50, 0))]
    # One right, one with a wrong character, one in no plate's place.
    reads = [("皖A12345", box(0, 0)), ("皖B00001", box(50, 0)), ("xy", box(90, 0))]
    assert not score.add(plates, reads)
    assert (score.hits, score.labelled, score.reported) == (1, 2, 3)
    assert (score.edits, score.characters) == (1 + 2, 14)
    assert score.f == pytest.approx(2 * (1 / 3) * (1 / 2) / (1 / 3 + 1 / 2))
    assert score.character_acc == pytest.approx(1 - 3 / 14)
    # A missed plate costs all its characters.
    score.add([LabelledPlate("皖C11111", box(0, 0))], [])
    assert (score.edits, score.characters) == (10, 21)


def test_best_overlap_decides_who_is_paired() -> None:
    score = EndToEndScore()
    score.add([LabelledPlate("皖A12345", box(0, 0))], [("wrong", box(1, 0)), ("皖A12345", box(0, 0))])
    assert (score.hits, score.reported) == (1, 2)


def test_overlap_of_half_is_enough_and_its_cost_is_told() -> None:
    score = EndToEndScore()
    assert score.add([LabelledPlate("a", box(0, 0, 10, 10))], [("a", box(0, 0, 10, 5))])
    assert not score.add([LabelledPlate("a", box(0, 0, 10, 10))], [("a", box(0, 0, 10, 4.9))])
    assert (score.hits, score.text_hits) == (1, 2)
    assert (score.recall, score.text_recall) == (0.5, 1)


def test_labels_without_corners_count_by_text() -> None:
    score = EndToEndScore()
    plates = [LabelledPlate("a1", None), LabelledPlate("a1", None), LabelledPlate("b2", None)]
    assert not score.add(plates, [("a1", box(0, 0)), ("c3", box(0, 0))])
    assert (score.hits, score.labelled, score.reported) == (1, 3, 2)
    assert score.f == pytest.approx(2 / 5)
    assert score.characters == 0
    assert score.undefined() == {"character_acc"}


def test_negatives_and_ignored_labels() -> None:
    score = EndToEndScore()
    assert score.add([], [])
    assert not score.add([], [("皖A12345", box(0, 0))])
    assert (score.labelled, score.reported, score.precision) == (0, 1, 0)
    assert score.add([LabelledPlate("###", box(0, 0))], [("皖A12345", box(0, 0))])
    assert (score.labelled, score.reported) == (0, 1)
    score = EndToEndScore()
    assert score.add([LabelledPlate("?", None), LabelledPlate("皖A12345", None)], [("皖A12345", box(0, 0))])
    both = [("皖A12345", box(0, 0)), ("京B99999", box(0, 9))]
    assert score.add([LabelledPlate("?", None), LabelledPlate("皖A12345", None)], both)
    assert (score.labelled, score.reported, score.hits) == (2, 2, 2)


def test_the_error_of_corners_is_a_share_of_the_plates_height() -> None:
    score = DetScore()
    assert score.corner_err == 0
    truth = box(0, 0, 20, 4)
    score.add([LabelledPlate("", truth)], [truth + np.float32([1, 0])])
    assert score.corner_err == pytest.approx(0.25)
    score.add([LabelledPlate("", truth)], [truth, box(90, 90)])
    assert score.corner_err == pytest.approx(0.125)


@pytest.mark.parametrize("corners", [box(0, 0), None])
def test_a_perfect_set_has_the_best_f_with_and_without_corners(corners: NDArray[np.float32] | None) -> None:
    score = EndToEndScore()
    assert score.add([LabelledPlate("皖A12345", corners)], [("皖A12345", box(0, 0))])
    assert (score.recall, score.precision, score.f, score.text_recall) == (1, 1, 1, 1)


def test_what_nothing_was_counted_for_is_neither_good_nor_bad() -> None:
    negatives, boxes, plates = EndToEndScore(), DetScore(), RecScore()
    negatives.add([], [])
    boxes.add([], [])
    assert (negatives.f, boxes.hmean) == (1, 1)
    assert negatives.undefined() == {"recall", "precision", "text_recall", "character_acc"}
    assert boxes.undefined() == {"recall", "precision", "corner_err"}
    assert plates.undefined() == {"acc", "norm_edit_dis"}
    negatives.add([], [("皖A12345", box(0, 0))])
    boxes.add([], [box(0, 0)])
    assert (negatives.f, negatives.precision, boxes.hmean, boxes.precision) == (0, 0, 0, 0)
    assert "precision" not in negatives.undefined() | boxes.undefined()
    for score in (negatives, boxes, plates):
        score.add("a", "b") if isinstance(score, RecScore) else score.add([LabelledPlate("a", box(0, 0))], [])
        assert score.undefined() <= {"corner_err"}


GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "paddleocr_metrics.json").read_text())


@pytest.mark.parametrize("kind", range(3), ids=["tilted", "concave", "crossing and flat"])
def test_boxes_are_counted_as_paddleocr_counts_them(kind: int) -> None:
    whole = DetScore()
    for one in GOLDEN["det"][kind]["sets"]:
        labels = zip(one["labels"], one["ignored"], strict=True)
        plates = [LabelledPlate("###" if i else "a", np.array(c, np.float32)) for c, i in labels]
        score = DetScore()
        for counts in (score, whole):
            counts.add(plates, [np.array(corners, np.float32) for corners in one["found"]])
        assert [score.labelled, score.found, score.matched] == one["counts"]
    for name, value in GOLDEN["det"][kind]["metrics"].items():
        assert getattr(whole, name) == pytest.approx(value)
    assert (whole.crossed > 0) == (kind == 2)


def test_texts_are_counted_as_paddleocr_counts_them_blanks_or_not() -> None:
    for one in GOLDEN["rec"]:
        score = RecScore()
        for truth, text in one["pairs"]:
            score.add(truth, text)
        told, share = one["metrics"], (len(one["pairs"]) + 1e-5) / len(one["pairs"])
        assert score.acc == pytest.approx(told["acc"] * share)
        assert 1 - score.norm_edit_dis == pytest.approx((1 - told["norm_edit_dis"]) * share)


def test_of_several_boxes_on_a_plate_the_first_that_fits_is_taken() -> None:
    score = DetScore()
    score.add([LabelledPlate("a", box(0, 0, 10, 10))], [box(0, 3, 10, 10), box(0, 0, 10, 10)])
    assert (score.found, score.matched, score.corner_err) == (2, 1, pytest.approx(0.3))
