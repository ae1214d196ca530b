"""The hint where a run of pictures shows no plate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from edge_lpr.cli.read import nothing_read
from edge_lpr.cli.read.nothing_read import NothingRead
from edge_lpr.pipeline.settings import ReadSettings
from edge_lpr.pipeline.stream import FrameResult

Make = Callable[..., Any]


@pytest.fixture
def result(a_source: Make, a_frame: Make, a_read: Make) -> Callable[[bool], FrameResult]:
    """Makes what one picture of 120×40 pixels gave."""
    source = a_source("crops", is_image=True)
    frame = replace(a_frame(0, None, "crops/a.png"), image=np.zeros((40, 120, 3), np.uint8))
    return lambda plate: FrameResult(source, frame, [a_read()] if plate else [], [], False)


def test_it_is_said_once_with_the_likely_cause(result: Callable[[bool], FrameResult]) -> None:
    run = NothingRead(ReadSettings())
    said = [run.hint(result(False)) for _ in range(120)]
    assert [i for i, line in enumerate(said) if line] == [49]
    assert said[49] == (
        "no plate in the first 50 pictures, of 120×40 pixels typically; if each is a plate that was cut out "
        "already, --crops-only reads it as one; --any-text shows text that is read as no plate"
    )


def test_one_plate_is_enough(result: Callable[[bool], FrameResult]) -> None:
    run = NothingRead(ReadSettings())
    assert not any(run.hint(result(i == 30)) for i in range(200))


def test_what_is_asked_for_already_is_not_hinted_at(result: Callable[[bool], FrameResult]) -> None:
    run = NothingRead(ReadSettings(crops_only=True, any_text=True))
    (said,) = filter(None, (run.hint(result(False)) for _ in range(60)))
    assert said == "no plate in the first 50 pictures, of 120×40 pixels typically"


def test_a_slow_run_is_told_sooner(
    result: Callable[[bool], FrameResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(nothing_read.time, "monotonic", lambda: now[0])
    run = NothingRead(ReadSettings())
    said = []
    for _ in range(8):
        now[0] += 6
        said.append(run.hint(result(False)))
    assert [i for i, line in enumerate(said) if line] == [4]
