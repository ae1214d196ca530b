"""Any architecture in PyTorch: modules under PaddleOCR's attribute names, and weights in and out of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edge_lpr.architectures import spec
from edge_lpr.architectures.registry import Architecture
from edge_lpr.architectures.torch_ops import OPS, EvenConv2d
from edge_lpr.architectures.weights import paddle_name
from edge_lpr.errors import ModelError

__all__ = ["TorchNetwork", "build", "is_affine", "load_weights", "weights_of"]


def _conv2d(layer: spec.Conv2d) -> nn.Module:
    kind, padding = (EvenConv2d, 0) if layer.padding == "same" else (nn.Conv2d, layer.padding)
    return kind(
        layer.inside,
        layer.out,
        layer.kernel,
        layer.stride,
        cast("tuple[int, int]", padding),
        groups=layer.groups,
        bias=layer.bias,
    )


class _Affine(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.scale + self.bias


_LAYERS: dict[type[spec.Layer], Callable[[Any], nn.Module]] = {
    spec.Conv2d: _conv2d,
    spec.ConvTranspose2d: lambda s: nn.ConvTranspose2d(s.inside, s.out, s.kernel, s.kernel),
    spec.BatchNorm: lambda s: nn.BatchNorm2d(s.channels),
    spec.LayerNorm: lambda s: nn.LayerNorm(s.size, eps=s.epsilon),
    spec.Linear: lambda s: nn.Linear(s.inside, s.out),
    spec.Affine: lambda _: _Affine(),
}


class _TorchBlock(nn.Module):
    """A block with its children as submodules."""

    def __init__(self, block: spec.Block) -> None:
        super().__init__()
        self.block = block
        for name, child in spec.attributes(block).items():
            built = nn.ModuleList(map(build, child)) if isinstance(child, list) else build(child)
            self.add_module(name, built)

    def forward(self, x: Tensor) -> Tensor:
        return cast("Tensor", self.block.forward(OPS, self, x))


def build(part: spec.Spec) -> nn.Module:
    """Makes a module of a block or layer, with new weights.

    Args:
        part: What to build.

    Returns:
        The module: normalised maps in, channels first.
    """
    if isinstance(part, spec.Layer):
        return _LAYERS[type(part)](part)
    return _TorchBlock(part)


def is_affine(module: nn.Module) -> bool:
    """Tells whether a module was built of `spec.Affine`."""
    return isinstance(module, _Affine)


class TorchNetwork(_TorchBlock):
    """An architecture to train, with new weights.

    `forward` takes uint8 or float images N×H×W×3 in BGR with pixels 0 to 255. A detector, whose H and W are
    multiples of 32, returns float32 N×1×H×W probabilities when evaluating; when training N×3×H×W:
    probability, threshold and approximate binary map. A recognizer returns float32 logits N×T×classes, class
    0 the blank.

    Args:
        architecture: What to build.
        classes: Of a recognizer's head, the blank included.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, architecture: Architecture, classes: int = 0) -> None:
        super().__init__(architecture.network(classes, True))
        self.architecture = architecture
        for name in ("mean", "std"):
            value = torch.tensor(getattr(architecture, name)).view(1, 3, 1, 1) * 255.0
            self.register_buffer(name, value, persistent=False)

    def normalised(self, images: Tensor) -> Tensor:
        """Returns what the backbone takes of images, float32 N×3×H×W."""
        return (images.permute(0, 3, 1, 2).float() - self.mean) / self.std

    def forward(self, images: Tensor) -> Tensor:
        """Returns the maps or logits, see above."""
        return super().forward(self.normalised(images)).float()

    def with_features(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Returns a detector's maps, and its backbone's, which they were made of, the finest first."""
        features: list[Tensor] = self.get_submodule("backbone")(self.normalised(images))
        return self.get_submodule("head")(self.get_submodule("neck")(features)).float(), features

    def freeze(self, blocks: int) -> None:
        """Takes the backbone's first convolution and as many of its first blocks out of training.

        Args:
            blocks: How many; with 0 the first convolution, too, is trained.
        """
        if blocks:
            for name in self.architecture.backbone_parts()[: blocks + 1]:
                self.get_submodule(name).requires_grad_(False)


def _transposed(network: nn.Module) -> set[str]:
    return {f"{n}.weight" for n, m in network.named_modules() if isinstance(m, nn.Linear)}


def weights_of(network: nn.Module) -> dict[str, NDArray[np.float32]]:
    """Takes a network's weights out under PaddleOCR's names.

    Args:
        network: Any module; PaddleOCR's names are those of one that was built here.

    Returns:
        Name → float32 array in PaddlePaddle's layout.
    """
    linear = _transposed(network)
    arrays = {}
    for name, tensor in network.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        value = tensor.detach().to("cpu", torch.float32)
        arrays[paddle_name(name)] = np.array((value.T if name in linear else value).numpy(), order="C")
    for path, module in network.named_modules():
        if isinstance(module, nn.LSTM):
            # PaddlePaddle names them twice, as the whole's and as those of the cell of each layer.
            for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                for i in range(module.num_layers):
                    arrays[f"{path}.{i}.cell.{kind}"] = arrays[f"{path}.{kind}_l{i}"]
    return arrays


def load_weights(
    network: TorchNetwork,
    arrays: Mapping[str, NDArray[Any]],
    *,
    source: str,
    optional: tuple[str, ...] = (),
) -> list[str]:
    """Puts weights with PaddleOCR's names into a network.

    Args:
        network: It is changed in place.
        arrays: Name → array in PaddlePaddle's layout; others than the network's are left alone.
        source: What the arrays were read from, for the error message.
        optional: Prefixes of parameters that may be missing and then keep their initial values (the
            detector's threshold branch, which inference models do not have).

    Returns:
        Names that were missing and allowed to be.

    Raises:
        ModelError: A parameter is missing, wrongly shaped or not finite; it is named.
    """
    linear = _transposed(network)
    state = network.state_dict()
    missing = []
    for name, tensor in state.items():
        if name.endswith("num_batches_tracked"):
            continue
        key = paddle_name(name)
        if key not in arrays:
            if key.startswith(optional):
                missing.append(key)
                continue
            architecture = network.architecture
            raise ModelError(
                f"{source}: parameter {key!r} is missing, so this is no checkpoint of {architecture.name}; "
                f"give the {architecture.family} student's .pdparams"
            )
        value = np.asarray(arrays[key], dtype=np.float32)
        value = value.T if name in linear else value
        if value.shape != tuple(tensor.shape):
            raise ModelError(
                f"{source}: parameter {key!r} has shape {value.shape}, expected {tuple(tensor.shape)}"
            )
        if not np.isfinite(value).all():
            raise ModelError(f"{source}: parameter {key!r} holds NaN or infinity; take an earlier checkpoint")
        state[name] = torch.from_numpy(np.array(value, order="C"))
    network.load_state_dict(state)
    return missing
