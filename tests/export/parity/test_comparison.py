"""Comparisons notice what they are there to notice."""

import numpy as np
import pytest
from helpers.onnx_models import Builder

from edge_lpr.errors import ModelError
from edge_lpr.export.parity.comparison import (
    Comparison,
    Runner,
    compare_boxes,
    compare_texts,
    cut_reference,
    normalised,
)
from edge_lpr.pipeline.settings import DetectorSettings


def test_differences_add_up() -> None:
    comparison = Comparison("raw")
    comparison.add(np.array([0.5, 0.5], np.float32), np.array([0.5, 0.25], np.float32))
    comparison.add(np.array([1.0, 1.0], np.float32), np.array([1.0, 1.0], np.float32))
    assert comparison.maximum == 0.25
    assert comparison.mean == pytest.approx(0.0625)
    assert comparison.passed(0.3)
    assert not comparison.passed(0.2)
    with pytest.raises(ModelError, match=r"shape \(1,\)"):
        comparison.add(np.zeros(1, np.float32), np.zeros(2, np.float32))


def test_not_a_number_never_passes() -> None:
    comparison = Comparison("raw")
    comparison.add(np.array([np.nan], np.float32), np.array([0.5], np.float32))
    assert not comparison.passed(1e9)
    assert comparison.as_json(1.0)["maximum"] == "not a number"


def test_what_the_graph_itself_rounds_away_is_allowed_for() -> None:
    def off(difference: float, rounding: float) -> Comparison:
        comparison = Comparison("raw")
        comparison.add(np.array([0.5 + difference]), np.array([0.5]), lambda: rounding)
        return comparison

    assert off(3e-4, 1e-4).passed(1e-4)
    assert off(3e-4, 1e-4).rounding == 1e-4
    assert not off(3e-4, 0.5e-4).passed(1e-4), "more than four times its own rounding"
    assert not off(2e-3, 1e-2).passed(1e-4), "more than ten bounds"
    assert not off(5e-5, 1e-2).passed(1e-5), "a bound below which nothing is looked at"
    steady = off(3e-4, 1e-4)
    steady.add(np.array([0.7]), np.array([0.5]), lambda: 0.0)
    assert not steady.passed(1e-4), "each input has its own"


def test_what_is_off_too_far_is_named() -> None:
    comparison = Comparison("raw")
    wanted = np.full((2, 3), 0.5)
    comparison.add(wanted + np.array([[0], [3e-4]]), wanted, lambda: 1e-4, ["steady", "amplifies"])
    assert comparison.beyond(1e-4) == []
    assert "beyond" not in comparison.as_json(1e-4)
    comparison.add(wanted + np.array([[2e-4], [5e-4]]), wanted, lambda: 1e-4, ["near", "box 3"])
    comparison.add(np.array([0.5 + 2e-4]), np.array([0.5]), names=["scene"])
    assert comparison.beyond(1e-4) == [
        "box 3: 5.0e-04 off, at most 4.0e-04 is accepted, the graph's own rounding there is 1.0e-04",
        "scene: 2.0e-04 off, at most 1.0e-04 is accepted",
    ]
    assert comparison.as_json(1e-4)["beyond"] == comparison.beyond(1e-4)


def test_a_graph_is_off_from_itself_by_its_rounding() -> None:
    b = Builder()
    model = b.model(b.op("Softmax", b.op("MatMul", b.conv("x", 3, 8), b.noise(32, 4))))
    image = np.random.default_rng(0).normal(size=(1, 3, 24, 32)).astype(np.float32)
    run = Runner(model.SerializeToString())
    found = run(image)
    assert run.rounding(image, found) < 1e-5
    assert run.rounding(image, found + 0.25) == pytest.approx(0.25, abs=1e-5)


def boxed(left: int, top: int = 30) -> np.ndarray:
    prob = np.zeros((128, 160), np.float32)
    prob[top : top + 20, left : left + 60] = 0.9
    return prob


def test_boxes() -> None:
    settings = DetectorSettings()
    comparison = Comparison("raw")
    assert len(compare_boxes(comparison, boxed(40), boxed(40), settings, "a")) == 1
    compare_boxes(comparison, boxed(41), boxed(40), settings, "one pixel is the threshold's own grain")
    assert comparison.passed(0)
    assert comparison.compared == 2
    compare_boxes(comparison, boxed(44), boxed(40), settings, "moved")
    compare_boxes(comparison, np.zeros((128, 160), np.float32), boxed(40), settings, "gone")
    compare_boxes(comparison, boxed(40), np.zeros((128, 160), np.float32), settings, "new")
    assert [d.split(":")[0] for d in comparison.differing] == ["moved", "gone", "new"]
    assert not comparison.passed(1)


def test_texts() -> None:
    def posterior(*classes: int) -> np.ndarray:
        return np.eye(4, dtype=np.float32)[list(classes)]

    comparison = Comparison("cut")
    compare_texts(comparison, posterior(1, 1, 0, 2), posterior(1, 0, 0, 2), ["京", "A"], True, "same")
    assert comparison.passed(0)
    compare_texts(comparison, posterior(1, 3), posterior(1, 2), ["京", "A"], True, "other")
    assert comparison.differing == ["other: '京□', Paddle reads '京A'"]


def test_cut_reference_sums_what_is_dropped() -> None:
    probs = np.array([[[0.1, 0.2, 0.3, 0.4]]], np.float32)
    np.testing.assert_allclose(cut_reference(probs, [0, 2]), [[[0.1, 0.3, 0.6]]], rtol=1e-6)


def test_normalised_is_paddleocrs_arithmetic() -> None:
    image = np.array([[[[0, 128, 255]]]], np.uint8)
    found = normalised(
        image, [255 * 0.485, 255 * 0.456, 255 * 0.406], [255 * 0.229, 255 * 0.224, 255 * 0.225]
    )
    wanted = (np.array([0, 128, 255]) / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    np.testing.assert_allclose(found.reshape(3), wanted, rtol=1e-6)
    assert found.shape == (1, 3, 1, 1)
