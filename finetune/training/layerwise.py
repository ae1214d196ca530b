"""What PaddleOCR's networks say of single layers: learning rates and regularizers of their own."""

from __future__ import annotations

import torch
from torch import nn

from edge_lpr.architectures.torch_builder import is_affine
from edge_lpr.finetune.recipe.config import TrainConfig
from edge_lpr.finetune.training.optimizers import build_optimizer

__all__ = ["network_optimizer"]

_AFFINE_RATE = 0.1
"""PP-LCNetV3's factors and shifts of whole maps learn at a tenth of the rate."""
_DECAYED = "identity"
"""Of PP-LCNetV3's norms the one of a layer's input itself is regularized."""


def network_optimizer(network: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """Makes the optimizer of a network's parameters that are trained.

    Args:
        network: The network.
        config: The run's settings.
    """
    free: set[str] = set()
    slow: set[str] = set()
    for name, module in network.named_modules():
        names = {f"{name}.{parameter}" for parameter, _ in module.named_parameters(recurse=False)}
        if is_affine(module):
            slow |= names
        elif isinstance(module, nn.BatchNorm2d) and config.network.free_norms:
            free |= names if name.startswith("backbone.") and not name.endswith(_DECAYED) else set()
    last = config.architecture().head.removesuffix("weight")
    return build_optimizer(
        network,
        config.optimizer,
        undecayed=free.__contains__,
        factors=lambda name: config.network.fc_decay if name.startswith(last) else None,
        rates=lambda name: _AFFINE_RATE if name in slow else 1.0,
    )
