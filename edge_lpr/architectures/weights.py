"""The parameters of a network, by PaddleOCR's names and in Paddle's layout, and what PyTorch calls them.

What differs is converted here and in the builders, nowhere else: PaddlePaddle keeps linear weights as in×out
(PyTorch: out×in) and calls batch-norm statistics `_mean` and `_variance`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from edge_lpr.architectures.spec import Block, Kind, Layer, Slot
from edge_lpr.errors import ModelError

__all__ = ["Parameter", "check_parameters", "paddle_name", "parameters"]

_FROM_TORCH = {"running_mean": "_mean", "running_var": "_variance"}


@dataclass(frozen=True)
class Parameter:
    """One array of a network.

    Attributes:
        name: PaddleOCR's name, such as `backbone.conv.bn._mean`.
        shape: Its shape in Paddle's layout: convolutions (out, in / groups, kh, kw), transposed ones
            (in, out, kh, kw), linear layers (in, out).
        kind: The layer that it belongs to, as Paddle counts them in its internal names.
        slot: Its part in Paddle's internal names: w_0 weight, b_0 bias, w_1 mean, w_2 variance.
    """

    name: str
    shape: tuple[int, ...]
    kind: Kind
    slot: Slot


def parameters(block: Block, *, fused: bool = False) -> list[Parameter]:
    """Lists a network's parameters in the order in which PaddleOCR creates them.

    Args:
        block: The network.
        fused: As its inference model has them, see `Block.fused_children`.
    """
    return list(_walk(block, "", fused))


def _walk(block: Block, prefix: str, fused: bool) -> Iterator[Parameter]:
    for name, child in block.fused_children() if fused else block.children():
        path = f"{prefix}{name}."
        if isinstance(child, Layer):
            for array, shape in child.shapes().items():
                yield Parameter(path + array, shape, child.kind, child.slots[array])
        else:
            yield from _walk(child, path, fused)


def paddle_name(torch_name: str) -> str:
    """Returns what PaddleOCR calls a parameter or buffer of PyTorch's."""
    head, dot, leaf = torch_name.rpartition(".")
    return head + dot + _FROM_TORCH.get(leaf, leaf)


def check_parameters(
    arrays: Mapping[str, NDArray[Any]],
    wanted: list[Parameter],
    unused: tuple[str, ...],
    label: str,
    *,
    family: str,
    hint: str,
) -> list[str]:
    """Checks that a checkpoint holds exactly what a network needs.

    Args:
        arrays: The checkpoint's arrays by name.
        wanted: What the network needs.
        unused: Prefixes of parameters that inference does not need.
        label: What error messages call the checkpoint.
        family: What they call the network.
        hint: What they say in the end.

    Returns:
        The names that were left unused, such as those of heads that only training has.

    Raises:
        ModelError: A parameter is missing, not known, or of another shape; the first one is named.
    """
    names = {p.name for p in wanted}
    missing = [p.name for p in wanted if p.name not in arrays]
    ignored = [n for n in arrays if n not in names and n.startswith(unused)]
    unexpected = [n for n in arrays if n not in names and not n.startswith(unused)]
    if missing:
        instead = f"; it has {unexpected[0]!r} instead" if unexpected else ""
        lacks = f"lacks {len(missing)} of {len(wanted)} parameters, first {missing[0]!r}"
        raise ModelError(f"{label}: {lacks}{instead}; {hint}")
    if unexpected:
        strange = f"{len(unexpected)} parameters that {family} does not have, first {unexpected[0]!r}"
        raise ModelError(f"{label}: {strange}; {hint}")
    for p in wanted:
        found = arrays[p.name]
        if found.shape != p.shape:
            raise ModelError(f"{label}: {p.name!r} has shape {found.shape}, expected {p.shape}")
        if found.dtype.kind != "f":
            raise ModelError(f"{label}: {p.name!r} has type {found.dtype}, expected floating point")
    return ignored
