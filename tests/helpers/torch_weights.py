"""Weights for tests of networks in PyTorch."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

Module = TypeVar("Module", bound=nn.Module)


def randomised(network: Module, seed: int = 0) -> Module:
    """Gives every weight a value, batch-norm statistics too."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point():
            spread = torch.rand(tensor.shape, generator=generator)
            positive = name.endswith("running_var") or (tensor.ndim == 1 and name.endswith("weight"))
            tensor.copy_(0.5 + spread if positive else (spread - 0.5) * 0.4)
    return network.eval()
