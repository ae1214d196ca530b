"""A detector that learns from another one: its teacher's maps, and what the teacher's backbone sees.

In PaddleOCR's CML, which PP-OCRv3's own detector was trained by (Li et al. 2022, "PP-OCRv3", section 2.1),
students learn from labels, from each other and from a teacher's binarised map, widened. Here one student
learns the teacher's probabilities themselves, on the same pictures in the same view (Beyer et al. 2022,
"Knowledge distillation: A good teacher is patient and consistent"); and as far as both have backbone maps of
the same shape, these too (Romero et al. 2015, "FitNets").
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from edge_lpr.architectures.registry import Architecture, closest
from edge_lpr.architectures.torch_builder import TorchNetwork, load_weights
from edge_lpr.architectures.weights import Parameter
from edge_lpr.finetune.training.losses import mean_of_hardest
from edge_lpr.types import Arrays

__all__ = ["Teacher", "distillation_loss", "feature_loss", "map_loss", "settle", "shared", "start_weights"]

_EPS = 1e-6
# A map that is nearly the same everywhere teaches nothing, and must not outweigh the others.
_LEAST_VARIANCE = 0.01
# What the map's part weighs beside the features', as DB's loss weighs its own.
_MAP_WEIGHT = 5.0


class Teacher:
    """A detector that is asked and not trained.

    Args:
        weights: Under PaddleOCR's names; what only training needs may be missing.
        source: What error messages call them.

    Raises:
        ModelError: They are not the weights of a detector.
    """

    def __init__(self, weights: Mapping[str, NDArray[np.float32]], source: str) -> None:
        architecture = closest(weights, "det")
        network = TorchNetwork(architecture)
        load_weights(network, weights, source=source, optional=architecture.training_only)
        self.network = network.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.no_grad()
    def __call__(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Returns what it sees.

        Args:
            images: uint8 N×H×W×3 BGR.

        Returns:
            Its probabilities, float32 N×H×W, and its backbone's maps, the finest first.
        """
        maps, features = self.network.to(images.device).with_features(images)
        return maps[:, 0], features


def distillation_loss(
    prob: Tensor,
    features: Sequence[Tensor],
    taught: Tensor,
    taught_features: Sequence[Tensor],
    labels: Tensor,
    mask: Tensor,
) -> tuple[Tensor, dict[str, float]]:
    """What is learnt from a teacher: its map, and its backbone's maps.

    Args:
        prob: float32 N×H×W, the student's probabilities.
        features: The student's backbone maps.
        taught: float32 N×H×W, the teacher's probabilities.
        taught_features: The teacher's backbone maps.
        labels: float32 N×H×W, 1 where a label has text.
        mask: float32 N×H×W, 0 where no label counts.

    Returns:
        The loss, and its two weighted parts by name.
    """
    # Where a label contradicts the teacher, the label is right.
    agreed = ((taught - labels).abs() < 0.5) | (mask < 0.5)
    parts = {
        "teacher": _MAP_WEIGHT * map_loss(prob, taught, agreed),
        "features": feature_loss(features, taught_features),
    }
    return torch.stack(list(parts.values())).sum(), {k: float(v.detach()) for k, v in parts.items()}


def map_loss(prob: Tensor, taught: Tensor, counted: Tensor, negative_ratio: float = 3.0) -> Tensor:
    """Kullback-Leibler divergence of a map from the teacher's, over its text and the worst of the rest.

    Args:
        prob: float32 N×H×W, 0 to 1.
        taught: float32 N×H×W, 0 to 1.
        counted: bool N×H×W, which pixels count.
        negative_ratio: At most so many background pixels per text pixel count; 1,000 where there is no text.

    Returns:
        Mean over the pixels that count, in nats: 0 where the maps are the same.
    """
    taught = taught.clamp(_EPS, 1 - _EPS)
    cross = F.binary_cross_entropy(prob.clamp(_EPS, 1 - _EPS), taught, reduction="none")
    divergence = cross - F.binary_cross_entropy(taught, taught, reduction="none")
    return mean_of_hardest(divergence, taught > 0.5, counted, negative_ratio)


def feature_loss(features: Sequence[Tensor], taught: Sequence[Tensor]) -> Tensor:
    """Mean squared differences between maps, each over the variance of the teacher's.

    Args:
        features: The student's maps, float32 N×C×H×W.
        taught: The teacher's.

    Returns:
        The sum over the maps that have one shape; 0 where none has.
    """
    pairs = [(s, t) for s, t in zip(features, taught, strict=False) if s.shape == t.shape]
    losses = [F.mse_loss(s, t) / (t.var() + _LEAST_VARIANCE) for s, t in pairs]
    return torch.stack(losses).sum() if losses else features[0].new_zeros(())


def shared(architecture: Architecture, weights: Mapping[str, NDArray[np.float32]]) -> set[str]:
    """Returns the parameters of those layers that other weights have, too, in the same shapes, by name."""
    layers: dict[str, list[Parameter]] = {}
    for parameter in architecture.parameters(training=True):
        layers.setdefault(parameter.name.rpartition(".")[0], []).append(parameter)
    same = (
        layer
        for layer in layers.values()
        if all(p.name in weights and weights[p.name].shape == p.shape for p in layer)
    )
    return {p.name for layer in same for p in layer}


def start_weights(
    architecture: Architecture, weights: Mapping[str, NDArray[np.float32]], seed: int
) -> Arrays:
    """Makes the start of a network from another one's weights.

    Args:
        architecture: The network to make weights for.
        weights: The other's; what has the same name and shape is taken over.
        seed: Of what is drawn.

    Returns:
        All parameters of the network under PaddleOCR's names: those that are new are drawn as He et al. 2015
        do it, norms and biases begin as doing nothing.
    """
    rng, taken = np.random.default_rng((seed, 3)), shared(architecture, weights)
    return {
        p.name: np.asarray(weights[p.name], np.float32) if p.name in taken else _drawn(p, rng)
        for p in architecture.parameters(training=True)
    }


@torch.no_grad()
def settle(network: TorchNetwork, kept: Collection[str], images: Tensor) -> None:
    """Brings what is new in a network to the scale of what goes through it, layer by layer.

    The weights of new layers are divided by the deviation of what they give, and new norms take over the
    statistics of the images (Mishkin and Matas 2016, "All you need is a good init"). With weights as drawn
    the first steps are so large that ReLUs die.

    Args:
        network: It is changed in place, and left in evaluation mode.
        kept: Names of the parameters that are left alone.
        images: uint8 N×H×W×3 BGR.
    """

    def scale(layer: nn.Module, _: object, out: Tensor) -> Tensor:
        deviation = out.std() + _EPS
        for parameter in layer.parameters():
            parameter.div_(deviation)
        return out / deviation

    network.eval()
    hooks = []
    for name, layer in network.named_modules():
        if f"{name}.weight" in kept:
            continue
        if isinstance(layer, nn.BatchNorm2d):
            layer.train()
            layer.momentum = 1.0  # the statistics become those of the images
        elif isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            hooks.append(layer.register_forward_hook(scale))
    network.get_submodule("head").training = True  # with the threshold's branch
    network(images)
    for hook in hooks:
        hook.remove()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 0.1
    network.eval()


def _drawn(parameter: Parameter, rng: np.random.Generator) -> NDArray[np.float32]:
    shape = parameter.shape
    if len(shape) == 1:
        ones = parameter.slot == "w_2" or (parameter.slot == "w_0" and parameter.kind.startswith("batch"))
        return np.full(shape, float(ones), np.float32)
    # A transposed convolution without overlap sums over its first dimension alone.
    fan_in = shape[0] if parameter.kind == "conv2d_transpose" else int(np.prod(shape[1:]))
    return rng.normal(0.0, np.sqrt(2.0 / fan_in), shape).astype(np.float32)
