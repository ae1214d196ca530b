"""Ranges of activations, and what is seen of them by channel."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from helpers import networks

from edge_lpr.calib.quantization.range_estimator import TensorStats, estimate_range, observe
from edge_lpr.errors import ModelError


def test_ranges() -> None:
    rng = np.random.default_rng(0)
    values = rng.standard_normal((4, 50_000)).astype(np.float32)
    values[2, 7] = -40.0
    stats = TensorStats((1, 4), np.abs(values).max(axis=1), values)
    assert estimate_range(stats, "max") == pytest.approx(40)
    assert 3.5 < estimate_range(stats, "percentile") < 5
    assert 3 < estimate_range(stats, "mse") < 30

    def error(amax: float) -> float:
        step = amax / 127
        return float(np.square(np.clip(np.rint(values / step), -127, 127) * step - values).mean())

    assert error(estimate_range(stats, "mse")) < error(40)
    assert error(estimate_range(stats, "mse")) < error(estimate_range(stats, "percentile"))
    silent = TensorStats((1, 1), np.zeros(1, np.float32), np.zeros((1, 5), np.float32))
    assert estimate_range(silent, "mse") > 0


def test_observation_sees_channels(model: onnx.ModelProto) -> None:
    stats = observe(model, {"a0": 1, "m6": -1, "sum": None}, networks.batches())
    assert stats["a0"].channel_max.shape == (8,)
    assert stats["a0"].channel_max[:2].min() > 20 * stats["a0"].channel_max[2:].max()
    assert stats["m6"].channel_max.shape == (6,)
    assert stats["sum"].channel_max.shape == (1,)
    halved = stats["a0"].divided(np.full(8, 2, np.float32))
    assert halved.amax == pytest.approx(stats["a0"].amax / 2)
    with pytest.raises(ModelError, match="no calibration image"):
        observe(model, {"a0": 1}, [])
