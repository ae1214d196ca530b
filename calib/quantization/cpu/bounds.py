"""The two ends of an activation's range: unlike TensorRT's, an unsigned range need not be symmetric."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edge_lpr.calib.quantization.range_estimator import PERCENTILE, SHARES, RangeEstimator

__all__ = ["STEPS", "Bounds", "estimate_bounds", "rounded", "scale_and_zero"]

Bounds = tuple[float, float]
"""The lowest and the highest value told apart: at most 0 and at least 0."""

STEPS = 255
# Values that a range of least squared error is looked for on.
_SAMPLE = 1 << 15
_MIN_SCALE = 1e-7


def estimate_bounds(values: NDArray[np.float32], estimator: RangeEstimator) -> Bounds:
    """Estimates the range of an activation; 0, which pads a convolution, is always in it.

    Args:
        values: float32, what was seen of it.
        estimator: "max" keeps every value, "percentile" lets 0.01 % at either end saturate, "mse" takes the
            largest magnitude with the least squared error of rounding and saturation together.
    """
    flat = values.reshape(-1)
    if estimator == "percentile":
        low, high = np.percentile(flat, (100 - PERCENTILE, PERCENTILE))
        return min(float(low), 0.0), max(float(high), 0.0)
    low, high = min(float(flat.min()), 0.0), max(float(flat.max()), 0.0)
    if estimator == "max" or low == high:
        return low, high
    few = flat[:: max(1, len(flat) // _SAMPLE) | 1]
    cuts = [(max(low, -limit), min(high, limit)) for limit in map(float, SHARES * max(-low, high))]
    return min(cuts, key=lambda cut: float(np.square(rounded(few, cut) - few).mean()))


def scale_and_zero(bounds: Bounds) -> tuple[np.float32, np.uint8]:
    """Returns what a step is worth, and which of 0 to 255 stands for zero."""
    low, high = bounds
    scale = np.float32(max((high - low) / STEPS, _MIN_SCALE))
    return scale, np.uint8(np.clip(round(-low / float(scale)), 0, STEPS))


def rounded(values: NDArray[np.float32], bounds: Bounds) -> NDArray[np.float32]:
    """Returns values as they come back from UINT8, float32."""
    scale, zero = scale_and_zero(bounds)
    levels = np.clip(np.rint(values / scale) + float(zero), 0, STEPS) - float(zero)
    return np.asarray(levels * scale, np.float32)
