"""Range estimators: what values flow through a network, and which of them INT8 tells apart.

A range is symmetric, as TensorRT's INT8 is: the largest magnitude that is still told apart, beyond which
values saturate. `estimate_range` offers the three usual estimators.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray

from edge_lpr.calib.quantization.taps import TappedModel
from edge_lpr.errors import ModelError
from edge_lpr.types import Batch, Tick

__all__ = ["LEVELS", "RangeEstimator", "TensorStats", "estimate_range", "mse_range", "observe"]

RangeEstimator = Literal["max", "percentile", "mse"]
LEVELS = 127
# Values kept of one tensor and image: taken at even distances, the largest exact beside them.
SAMPLE = 8192
PERCENTILE = 99.99
# Candidate ranges of the MSE estimator, as shares of the largest magnitude.
SHARES = np.geomspace(0.05, 1.0, 40)


@dataclass(frozen=True, eq=False)
class TensorStats:
    """What was seen of one activation.

    Attributes:
        shape: Its shape in the last image.
        channel_max: float32 C, the largest magnitude of each channel.
        sample: float32 C×K, values of each channel from all images.
    """

    shape: tuple[int, ...]
    channel_max: NDArray[np.float32]
    sample: NDArray[np.float32]

    @property
    def amax(self) -> float:
        """Largest magnitude."""
        return float(self.channel_max.max())

    def divided(self, scale: NDArray[np.float32]) -> TensorStats:
        """Returns what would be seen if each channel were divided by its factor, float32 C."""
        return TensorStats(self.shape, self.channel_max / scale, self.sample / scale[:, None])


def observe(
    model: onnx.ModelProto,
    channel_axis: Mapping[str, int | None],
    inputs: Iterable[Batch],
    tick: Tick | None = None,
) -> dict[str, TensorStats]:
    """Runs a model over images and looks at some of its activations.

    Args:
        model: The model, with one input.
        channel_axis: The activations to look at, and which of their axes is the channel; None for one that is
            looked at as a whole.
        inputs: Batches for the model's input.
        tick: Called with 1 after each batch.

    Returns:
        What was seen of each activation.

    Raises:
        ModelError: There were no inputs, or an activation is not finite.
    """
    if not channel_axis:
        return {}
    tapped = TappedModel(model, channel_axis)
    shapes: dict[str, tuple[int, ...]] = {}
    peaks: dict[str, NDArray[np.float32]] = {}
    samples: dict[str, list[NDArray[np.float32]]] = {name: [] for name in channel_axis}
    for batch in inputs:
        for name, value in tapped.run(batch).items():
            channels = _by_channel(value, channel_axis[name])
            peak = np.maximum(channels.max(axis=1), -channels.min(axis=1))
            if not np.isfinite(peak).all():
                raise ModelError(
                    f"the activation {name!r} is not finite on a calibration image: the weights are damaged"
                )
            peaks[name] = np.maximum(peaks[name], peak) if name in peaks else peak
            # An odd step walks over all rows and columns.
            step = max(1, channels.size // SAMPLE) | 1
            samples[name].append(channels[:, ::step].copy())
            shapes[name] = value.shape
        if tick is not None:
            tick(1)
    if not shapes:
        raise ModelError("no calibration image: nothing was seen of the network's activations")
    return {
        name: TensorStats(shapes[name], peaks[name], np.concatenate(samples[name], axis=1))
        for name in channel_axis
    }


def _by_channel(value: NDArray[np.float32], axis: int | None) -> NDArray[np.float32]:
    if axis is None:
        return value.reshape(1, -1)
    return np.moveaxis(value, axis, 0).reshape(value.shape[axis], -1)


def estimate_range(stats: TensorStats, estimator: RangeEstimator) -> float:
    """Estimates the range of an activation.

    Args:
        stats: What was seen of it.
        estimator: "max" keeps every value, "percentile" lets 0.01 % of them saturate, "mse" takes the range
            with the least squared error of rounding and saturation together.

    Returns:
        The largest magnitude that is told apart, above 0.
    """
    amax = stats.amax
    if amax == 0:
        return 1.0
    magnitude = np.abs(stats.sample)
    if estimator == "percentile":
        return float(np.percentile(magnitude, PERCENTILE)) or amax
    if estimator == "mse":
        return mse_range(magnitude, amax)
    return amax


def mse_range(magnitude: NDArray[np.float32], amax: float) -> float:
    """Finds the symmetric range of least squared error, of rounding and saturation together.

    Args:
        magnitude: float32 of any shape, magnitudes of the values, 0 or more.
        amax: The largest magnitude that may be told apart, above 0.

    Returns:
        The best of the candidates `SHARES` × `amax`, above 0.
    """
    errors = []
    for share in SHARES:
        step = np.float32(amax * share / LEVELS)
        rounded = np.minimum(np.rint(magnitude / step), LEVELS) * step
        errors.append(float(np.square(rounded - magnitude).mean()))
    return float(amax * SHARES[int(np.argmin(errors))])
