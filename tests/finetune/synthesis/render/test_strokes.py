from __future__ import annotations

import string

import numpy as np
import pytest

from edge_lpr.finetune.synthesis.render import strokes


@pytest.mark.parametrize("char", string.ascii_uppercase + string.digits)
def test_centre_lines_stay_in_their_box_and_span_its_height(char: str) -> None:
    points = np.concatenate(strokes.strokes(char))
    assert points.dtype == np.float32
    # The tail of Q alone reaches out, as on the plates.
    slack = 3.0 if char == "Q" else 0.5
    assert points.min() >= -0.5
    assert points[:, 0].max() <= strokes.WIDTH + slack
    assert points[:, 1].max() <= strokes.HEIGHT + slack
    assert np.ptp(points[:, 1]) > 0.95 * strokes.HEIGHT


def test_nine_is_six_upside_down() -> None:
    for six, nine in zip(strokes.strokes("6"), strokes.strokes("9"), strict=True):
        assert np.allclose(nine, np.array([strokes.WIDTH, strokes.HEIGHT], np.float32) - six, atol=1e-4)


def test_other_characters_have_no_strokes() -> None:
    with pytest.raises(KeyError):
        strokes.strokes("皖")
