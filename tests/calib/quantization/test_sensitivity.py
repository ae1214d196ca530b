"""Which layers are worth float."""

from __future__ import annotations

import pytest

from edge_lpr.calib.quantization.layers import QuantLayer
from edge_lpr.calib.quantization.sensitivity import Sensitivity

LAYERS = [QuantLayer(name, "Conv", ("x",), "w") for name in ("cheap", "dear", "quiet")]
SENSITIVITY = Sensitivity({"cheap": 3.0, "dear": 4.0, "quiet": 0.1}, {"cheap": 10, "dear": 85, "quiet": 5})


def test_noise_adds_up_by_squares() -> None:
    assert SENSITIVITY.noise == pytest.approx(25.01)
    assert [SENSITIVITY.is_notable(layer) for layer in LAYERS] == [True, True, False]


def test_noise_is_set_against_multiply_adds() -> None:
    assert [layer.name for layer in SENSITIVITY.by_cost(LAYERS)] == ["cheap", "dear", "quiet"]
    assert SENSITIVITY.reason(LAYERS[1]) == (
        "alone it moves the output by 4.00000: 64.0% of the noise for 85.00% of the multiply-adds"
    )
