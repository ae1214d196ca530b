"""Branches of a re-parameterised layer out of the one convolution that an inference model has of it.

Any split computes the same. Here all of it goes into the first branch, whose norm gets the statistics that it
has on images, so that it stays what it is where a training lets the norms follow its batches. The other
branches begin as PaddleOCR begins them, but with a factor of 0: they add nothing until a training lets them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_lpr.architectures.lcnet import BRANCHES, FUSED, RepConv
from edge_lpr.architectures.spec import Block, Layer
from edge_lpr.types import Arrays, Rng

__all__ = ["EPSILON", "Statistics", "fuse_branches", "rep_convs", "split_branches"]

EPSILON = 1e-5
"""What Paddle adds to a norm's variance."""
_NORM = ("weight", "bias", "_mean", "_variance")
Doubles = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Statistics:
    """What a convolution returns on images, without its bias.

    Attributes:
        mean: float64, one for each channel.
        variance: float64, likewise.
    """

    mean: Doubles
    variance: Doubles


def rep_convs(block: Block, prefix: str = "") -> Iterator[tuple[str, RepConv]]:
    """Finds the re-parameterised layers of a network.

    Args:
        block: The network.
        prefix: Put in front of the names.

    Yields:
        The name of each, with a dot at its end, and the layer.
    """
    if isinstance(block, RepConv):
        yield prefix, block
        return
    for name, child in block.children():
        if not isinstance(child, Layer):
            yield from rep_convs(child, f"{prefix}{name}.")


def split_branches(
    arrays: Mapping[str, NDArray[np.float32]], path: str, layer: RepConv, rng: Rng, statistics: Statistics
) -> Arrays:
    """Puts a convolution with a bias into the first branch of a re-parameterised layer.

    Args:
        arrays: Holds its weight and bias by `path`.
        path: The layer's name.
        layer: The layer.
        rng: What the other branches' kernels are drawn from.
        statistics: What the convolution returns on images.

    Returns:
        float32 arrays of all branches and norms, by name.
    """
    weight, bias = (arrays[f"{path}{FUSED}.{name}"] for name in ("weight", "bias"))
    deviation = np.sqrt(statistics.variance + EPSILON)
    found: Arrays = {}
    if layer.keeps:
        found |= _norm(f"{path}identity.", np.zeros(layer.inside))
    for i in range(BRANCHES):
        name = f"{path}conv_kxk.{i}."
        found[f"{name}conv.weight"] = weight if i == 0 else _drawn(weight.shape, rng)
        if i == 0:
            found |= _norm(
                f"{name}bn.", deviation, bias + statistics.mean, statistics.mean, statistics.variance
            )
        else:
            found |= _norm(f"{name}bn.", np.zeros(layer.out))
    if layer.kernel > 1:
        found[f"{path}conv_1x1.conv.weight"] = _drawn((*weight.shape[:2], 1, 1), rng)
        found |= _norm(f"{path}conv_1x1.bn.", np.zeros(layer.out))
    if not layer.activated:
        found |= {
            f"{path}act.lab.scale": np.ones(1, np.float32),
            f"{path}act.lab.bias": np.zeros(1, np.float32),
        }
    return found


def _norm(
    name: str,
    factor: Doubles,
    shift: Doubles | None = None,
    mean: Doubles | None = None,
    variance: Doubles | None = None,
) -> Arrays:
    none, one = np.zeros_like(factor), np.ones_like(factor)
    values = (
        factor,
        none if shift is None else shift,
        none if mean is None else mean,
        one if variance is None else variance,
    )
    return {name + part: np.asarray(value, np.float32) for part, value in zip(_NORM, values, strict=True)}


def _drawn(shape: tuple[int, ...], rng: Rng) -> NDArray[np.float32]:
    fan_in = int(np.prod(shape[1:]))
    return rng.normal(0.0, np.sqrt(2.0 / fan_in), shape).astype(np.float32)


def fuse_branches(
    arrays: Mapping[str, NDArray[np.float32]], path: str, layer: RepConv
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Returns weight and bias of the one convolution that computes what a layer's branches sum up to.

    Args:
        arrays: Holds the branches by `path`.
        path: The layer's name, with a dot at its end.
        layer: The layer.
    """
    inside = layer.inside // layer.groups
    weight = np.zeros((layer.out, inside, layer.kernel, layer.kernel))
    bias = np.zeros(layer.out)
    middle = layer.kernel // 2
    for i in range(BRANCHES):
        name = f"{path}conv_kxk.{i}."
        scale, shift = _folded(arrays, f"{name}bn.")
        weight += arrays[f"{name}conv.weight"] * scale[:, None, None, None]
        bias += shift
    if layer.kernel > 1:
        scale, shift = _folded(arrays, f"{path}conv_1x1.bn.")
        weight[:, :, middle, middle] += arrays[f"{path}conv_1x1.conv.weight"][:, :, 0, 0] * scale[:, None]
        bias += shift
    if layer.keeps:
        scale, shift = _folded(arrays, f"{path}identity.")
        place = np.arange(layer.out)
        weight[place, place % inside, middle, middle] += scale
        bias += shift
    return weight.astype(np.float32), bias.astype(np.float32)


def _folded(arrays: Mapping[str, NDArray[np.float32]], name: str) -> tuple[Doubles, Doubles]:
    factor, shift, mean, variance = (arrays[name + part].astype(np.float64) for part in _NORM)
    scale = factor / np.sqrt(variance + EPSILON)
    return scale, shift - mean * scale
