"""Ranges of unsigned activations."""

from __future__ import annotations

import numpy as np
import pytest

from edge_lpr.calib.quantization.cpu.bounds import estimate_bounds, rounded, scale_and_zero


def test_a_range_holds_zero_and_need_not_be_symmetric() -> None:
    values = np.linspace(-1, 3, 1001, dtype=np.float32)
    assert estimate_bounds(values, "max") == (-1, 3)
    assert estimate_bounds(values + 2, "max") == (0, 5)
    low, high = estimate_bounds(values, "percentile")
    assert low == pytest.approx(-1, abs=0.01) and high == pytest.approx(3, abs=0.01)


def test_the_least_squared_error_gives_outliers_up() -> None:
    values = np.append(np.linspace(-1, 1, 32_767, dtype=np.float32), np.float32(1.15))
    low, high = estimate_bounds(values, "mse")
    assert low == -1 and 1 < high < 1.15

    def error(bounds: tuple[float, float]) -> float:
        return float(np.square(rounded(values[::1], bounds) - values).mean())

    assert error((low, high)) < error(estimate_bounds(values, "max"))


def test_zero_is_exact() -> None:
    for bounds in ((-1.0, 3.0), (0.0, 5.0), (-2.5, 0.0), (0.0, 0.0)):
        scale, zero = scale_and_zero(bounds)
        assert scale > 0 and 0 <= zero <= 255
        assert rounded(np.zeros(3, np.float32), bounds).tolist() == [0, 0, 0]
    assert rounded(np.array([-9, 9, 1.01], np.float32), (0.0, 2.55)).tolist() == pytest.approx(
        [0, 2.55, 1.01]
    )
