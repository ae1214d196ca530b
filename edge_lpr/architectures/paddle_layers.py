"""What both networks of PP-OCRv3 in Paddle are made of."""

from __future__ import annotations

from typing import Any

from paddle import nn
from paddle.nn import functional as F

from edge_lpr.architectures.parameters import SE_REDUCTION

__all__ = ["Squeeze", "Tensor"]

Tensor = Any  # Paddle ships no types


class Squeeze(nn.Layer):
    """Squeeze-and-excitation (Hu et al. 2018) with a hard sigmoid."""

    def __init__(self, channels: int, slope: float) -> None:
        super().__init__()
        self.slope = slope
        self.conv1 = nn.Conv2D(channels, channels // SE_REDUCTION, 1)
        self.conv2 = nn.Conv2D(channels // SE_REDUCTION, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Scales each channel by its gate."""
        gate = F.adaptive_avg_pool2d(x, 1)
        gate = self.conv2(F.relu(self.conv1(gate)))
        return x * F.hardsigmoid(gate, slope=self.slope, offset=0.5)
