"""What is compared, and what a gate takes."""

from __future__ import annotations

import re

import pytest

from edge_lpr.bundle import load_bundle
from edge_lpr.calib.comparison.compare import Measured, Variant, check_gates, gates, latency, variants
from edge_lpr.errors import SettingError
from edge_lpr.evaluation.evaluate import ALL, Evaluation
from edge_lpr.evaluation.metrics import RecScore
from edge_lpr.precisions import PRECISIONS, Precision


def test_fp32_comes_first_and_every_precision_runs_on_every_backend() -> None:
    found = variants(load_bundle(), ["auto", "onnxruntime"])
    assert found[0] == Variant("fp32", "auto")
    own = ["fp32", "fp16", "int8", "int8-cpu"]
    assert [str(v) for v in found] == [f"{p} {b}" for b in ("auto", "onnxruntime") for p in own]


@pytest.mark.parametrize(
    "text", ["int8", "int8:", "int8:x", "int8:-1", "int8:0", "int8:101", "int8:nan", "fp32:1", "int4:1"]
)
def test_a_gate_that_cannot_be_is_one_line(text: str) -> None:
    with pytest.raises(
        SettingError, match=r"expected PRECISION:POINTS, .* over 0 .* precisions are fp16, int8"
    ):
        gates([text])


def test_a_gate_takes_what_is_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PRECISIONS, "_choices", dict(PRECISIONS._choices))
    PRECISIONS.register(Precision("w16", 5, 5, "", 0.1, ()))
    assert gates(["w16:0.5", "int8:0.25"]) == {"w16": 0.5, "int8": 0.25}


def measured(precision: str, items: int, wrong: range = range(0)) -> Measured:
    right = {str(i): i not in wrong for i in range(items)}
    score = RecScore(items, sum(right.values()))
    result = Evaluation({ALL: score}, right=right, calls=[(0.001, 1)] * items)
    return Measured(Variant(precision, "onnxruntime"), "a reader", {"rec": result}, 1, None, {})


@pytest.mark.parametrize(
    ("items", "lost", "gate", "told"),
    [
        (
            25,
            0,
            0.5,
            "int8 onnxruntime: rec is not shown to keep 0.5 points: 0 of 25 plates lost and 0 won, so up to "
            "13.72 may be lost (95 %); about 736 plates of which none is lost would show it",
        ),
        (735, 0, 0.5, "about 736 plates of which none is lost would show it"),
        (736, 0, 0.5, None),
        (183, 0, 2, None),
        (
            100,
            1,
            2,
            "1 of 100 plates lost and 0 won, so up to 5.45 may be lost (95 %); about N plates at this rate",
        ),
        (1000, 1, 1, None),
        (100, 3, 2, "rec acc loses 3.00 points, allowed: 2"),
    ],
)
def test_a_gate_needs_evidence(items: int, lost: int, gate: float, told: str | None) -> None:
    found = check_gates([measured("fp32", items), measured("int8", items, range(lost))], {"int8": gate})
    assert len(found) == (told is not None)
    if told is not None:
        assert re.search(re.escape(told).replace("N", r"\d+"), found[0]), found


def test_what_is_won_speaks_for_a_precision_and_more_of_the_same_may_not() -> None:
    fp32, int8 = measured("fp32", 2000, range(5)), measured("int8", 2000, range(5, 10))
    (told,) = check_gates([fp32, int8], {"int8": 0.1})
    assert "5 of 2000 plates lost and 5 won" in told and "plates at this rate would show it" in told
    assert check_gates([fp32, int8], {"int8": 0.5}) == []
    # No figure is lost though items are: those of an image with several plates, say.
    int8.results["rec"].right |= {str(i): False for i in range(10, 110)}
    (told,) = check_gates([fp32, int8], {"int8": 0.5})
    assert told.endswith("more would not help")


def test_percentiles_are_those_of_single_runs() -> None:
    result = measured("int8", 3).results["rec"]
    result.calls += [(3.2, 32)]
    assert latency(result) == {"p50": 1.0, "p90": 1.0, "p99": 1.0}
    result.calls = [(3.2, 32)]
    assert latency(result) == {}
