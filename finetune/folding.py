"""Batch norms with frozen statistics, folded into the convolutions before them and back.

With its statistics frozen a batch norm is a scale and a shift per channel. Carried out as a layer of its own it
costs a quarter of a training step on a CPU, all of it memory traffic.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["fold_batch_norms", "unfold_batch_norms"]

# Channels that a batch norm scales by less are dead: no weight before it can be told from what comes out.
MIN_SCALE = 1e-6


class FoldedBatchNorm(nn.Module):
    """Stands where a batch norm stood, and remembers it; hands its input on.

    Args:
        norm: The batch norm.
        had_bias: Whether the convolution before it has a bias of its own.
    """

    def __init__(self, norm: nn.BatchNorm2d, had_bias: bool) -> None:
        super().__init__()
        self.had_bias = had_bias
        self.norm = norm.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        return x


def _scale(norm: nn.BatchNorm2d) -> Tensor:
    assert norm.running_var is not None
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return torch.where(scale.abs() < MIN_SCALE, torch.full_like(scale, MIN_SCALE), scale)


def _per_output(scale: Tensor, conv: nn.Conv2d | nn.ConvTranspose2d) -> Tensor:
    """Shapes a factor per output channel for a convolution's weight."""
    return scale.view(1, -1, 1, 1) if isinstance(conv, nn.ConvTranspose2d) else scale.view(-1, 1, 1, 1)


def _pairs(network: nn.Module, kind: type[nn.Module]) -> list[tuple[nn.Module, str, nn.Module]]:
    """Finds each layer of a kind together with the convolution registered right before it."""
    found = []
    for parent in network.modules():
        children = list(parent.named_children())
        for (_, conv), (name, norm) in zip(children, children[1:], strict=False):
            if isinstance(norm, kind) and isinstance(conv, nn.Conv2d | nn.ConvTranspose2d):
                found.append((parent, name, conv))
    return found


@torch.no_grad()
def fold_batch_norms(network: nn.Module) -> None:
    """Folds every batch norm into the convolution registered right before it; the output stays the same.

    Args:
        network: Changed in place; its batch norms keep their statistics and are not trained any more.
    """
    for parent, name, conv in _pairs(network, nn.BatchNorm2d):
        norm = getattr(parent, name)
        scale = _scale(norm)
        trained = conv.weight.requires_grad
        conv.weight.mul_(_per_output(scale, conv))
        before = conv.bias if conv.bias is not None else torch.zeros_like(norm.bias)
        shift = norm.bias + (before - norm.running_mean) * scale
        setattr(parent, name, FoldedBatchNorm(norm, had_bias=conv.bias is not None))
        conv.bias = nn.Parameter(shift.clone(), requires_grad=trained)


@torch.no_grad()
def unfold_batch_norms(network: nn.Module) -> None:
    """Undoes `fold_batch_norms`: what was learnt goes into the convolution's weight and the norm's shift.

    Args:
        network: Changed in place; the output stays the same, and the norms' statistics and scales are the old.
            A bias of a convolution is 0 afterwards, its part is in the norm's.
    """
    for parent, name, conv in _pairs(network, FoldedBatchNorm):
        folded: FoldedBatchNorm = getattr(parent, name)
        norm, shift = folded.norm, conv.bias
        scale = _scale(norm)
        conv.weight.div_(_per_output(scale, conv))
        conv.bias = nn.Parameter(torch.zeros_like(shift)) if folded.had_bias else None
        norm.bias.copy_(shift + norm.running_mean * scale)
        norm.requires_grad_(True)
        setattr(parent, name, norm)
