"""Whether a camera is kept up with."""

from __future__ import annotations

import pytest

from edge_lpr.pipeline.load import Load


def test_looks_become_rarer_while_frames_are_passed_over_and_as_often_as_before_after_that() -> None:
    load = Load()
    load.note(0)
    assert load.stretch == 1
    stretches = []
    for n in range(1, 20):
        load.note(3 * n)
        stretches.append(load.stretch)
    assert stretches == sorted(stretches) and stretches[0] > 1 and stretches[-1] == 4
    for _ in range(200):
        load.note(57)
    assert load.stretch == pytest.approx(1)
