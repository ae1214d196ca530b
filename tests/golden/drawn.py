"""Weights and a picture, drawn by numpy, for networks of PaddleOCR and for ours."""

from __future__ import annotations

import numpy as np

from edge_lpr.architectures.registry import Architecture
from edge_lpr.benchmarks.networks import drawn_weights
from edge_lpr.types import Arrays, Part

__all__ = ["CLASSES", "picture", "weights"]

CLASSES = 71


def weights(architecture: Architecture) -> Arrays:
    """Draws weights that leave a detector's map and a recognizer's probabilities neither 0 nor 1."""
    wanted = architecture.parameters(CLASSES if architecture.part == "rec" else 0, training=True)
    drawn = drawn_weights(wanted, seed=1)
    for name in drawn:
        if name.endswith(".conv3.weight"):
            drawn[name] *= np.float32(0.05)
        elif name.endswith("conv.lab.scale"):
            drawn[name] *= np.float32(0.3)  # a sum of up to six branches comes before
    return drawn


def picture(part: Part) -> np.ndarray:
    """Draws what a backbone takes, float32 1×3×H×W."""
    size = (1, 3, 48, 64) if part == "rec" else (1, 3, 64, 96)
    return np.random.default_rng(2).normal(0, 1, size).astype(np.float32)
