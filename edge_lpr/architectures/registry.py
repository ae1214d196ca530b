"""The architectures that there are, and of which one a checkpoint is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from edge_lpr.architectures.layers import Network
from edge_lpr.architectures.spec import Chain
from edge_lpr.architectures.weights import Parameter, check_parameters, parameters
from edge_lpr.errors import ModelError
from edge_lpr.registry import Registry
from edge_lpr.types import Part

__all__ = ["ARCHITECTURES", "Architecture", "Checkpoint", "closest", "identify", "of_part", "register"]


@dataclass(frozen=True)
class Architecture:
    """A network, and what has to be known of it beside its layers.

    Attributes:
        name: PaddleOCR's name of the configuration.
        family: What error messages call it and its like.
        part: What it is for.
        network: Makes the tree of blocks for a number of classes (0 for a detector), with or without what
            only training needs: the threshold of a detector, logits in place of a recognizer's probabilities.
        head: A parameter by which checkpoints of this part are known; a recognizer's has the classes as its
            last dimension.
        training_only: Prefixes of parameters that inference does not need. Checkpoints may hold them or not.
        mean: Subtracted from B, G and R, of pixels scaled to 0..1.
        std: Divided by afterwards.
        stride: What the input's width is a multiple of, in pixels; its height, too, where that is free.
        height: Input height in pixels; None where it is free.
        rank: Its place among the others; of two that a checkpoint fits as well, the lower is taken.
    """

    name: str
    family: str
    part: Part
    network: Callable[[int, bool], Network]
    head: str
    training_only: tuple[str, ...]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    stride: int
    height: int | None = None
    rank: int = 0

    @property
    def title(self) -> str:
        """What a bundle calls it."""
        return f"{self.family} {self.part}{' (CTC)' if self.part == 'rec' else ''}"

    def parameters(self, classes: int = 0, *, training: bool = False) -> list[Parameter]:
        """Lists the network's parameters in the order in which PaddleOCR creates them.

        Args:
            classes: Of a recognizer's head, the blank included.
            training: With those that only training needs.
        """
        return parameters(self.network(classes, training))

    def backbone_parts(self) -> list[str]:
        """Returns the names of the backbone's blocks in the order in which they run, the stem first."""
        names: list[str] = []
        for name, child in self.network(1, False).backbone.children():
            path = f"backbone.{name}"
            inner = [f"{path}.{n}" for n, _ in child.children()] if isinstance(child, Chain) else [path]
            names.extend(inner)
        return names

    def classes(self, arrays: Mapping[str, NDArray[Any]], label: str) -> int:
        """Returns the number of classes of a recognizer's checkpoint; 0 for a detector.

        Args:
            arrays: The checkpoint's arrays by name.
            label: What error messages call the checkpoint.

        Raises:
            ModelError: It has no such head.
        """
        if self.part == "det":
            return 0
        weight = arrays.get(self.head)
        if weight is None or weight.ndim != 2:
            other = "; it is a detection checkpoint" if _is_of("det", arrays) else ""
            raise ModelError(
                f"{label}: no parameter {self.head!r}, expected a rec checkpoint of {_families('rec')}{other}"
            )
        return int(weight.shape[1])


@dataclass(frozen=True)
class Checkpoint:
    """What a checkpoint was found to be.

    Attributes:
        architecture: The network that it is of.
        classes: Classes of a recognizer's head; 0 for a detector.
        ignored: Names of its parameters that only training uses.
    """

    architecture: Architecture
    classes: int
    ignored: list[str]


ARCHITECTURES: Registry[Architecture] = Registry("architecture", "edge_lpr.architectures.tables")
"""Architectures by PaddleOCR's names of their configurations."""
register = ARCHITECTURES.register


_OTHERS = {
    "neck.encoder.lstm.": "a recognizer with LSTM (CRNN, as PP-OCRv2's)",
    "backbone.patch_embed.": "SVTR",
    "backbone.conv1.stem1.": "PP-OCRv6",
    "backbone.conv1.0.": "PP-OCRv6",
    "neck.inp_conv.0.dw.": "PP-OCRv6",
}
"""What is known of PaddleOCR's and not supported, by the beginning of a parameter that it alone has."""


def of_part(part: Part) -> list[Architecture]:
    """Returns the architectures of the detector or of the recognizer."""
    return [architecture for architecture in ARCHITECTURES if architecture.part == part]


def closest(arrays: Mapping[str, NDArray[Any]], part: Part) -> Architecture:
    """Returns the architecture that shares most parameters with what a checkpoint holds, and differs least.

    Args:
        arrays: The checkpoint's arrays by name.
        part: What it is to be for.
    """

    def difference(architecture: Architecture) -> tuple[int, int]:
        wanted = {p.name for p in architecture.parameters(1)}
        extra = [n for n in arrays.keys() - wanted if not n.startswith(architecture.training_only)]
        missing = len(wanted - arrays.keys())
        # One that shares nothing is not told of the smallest network.
        return missing - len(wanted), missing + len(extra) if missing < len(wanted) else 0

    return min(of_part(part), key=difference)


def identify(arrays: Mapping[str, NDArray[Any]], part: Part, label: str) -> Checkpoint:
    """Finds the architecture that a checkpoint is of, and sees that it holds exactly what that needs.

    Args:
        arrays: Arrays by PaddleOCR's parameter names, one branch of a distillation checkpoint at most.
        part: What it must be for.
        label: What error messages call the checkpoint.

    Raises:
        ModelError: It is of the other part, or of a network that is not supported; or a parameter is missing,
            not known, or of another shape.
    """
    for prefix, name in _OTHERS.items():
        if any(n.startswith(prefix) for n in arrays):
            raise ModelError(f"{label}: a checkpoint of {name}, which is not supported; {_hint()}")
    if part == "det" and _is_of("rec", arrays):
        raise ModelError(f"{label}: a recognition checkpoint, expected one of a detection network")
    architecture = closest(arrays, part)
    classes = architecture.classes(arrays, label)
    wanted = architecture.parameters(classes)
    ignored = check_parameters(
        arrays,
        wanted,
        architecture.training_only,
        label,
        family=architecture.family,
        hint=_hint(),
    )
    return Checkpoint(architecture, classes, ignored)


def _hint() -> str:
    return f"export takes checkpoints of {_families()}; for other networks give an inference model"


def _is_of(part: Part, arrays: Mapping[str, object]) -> bool:
    return any(a.head in arrays for a in of_part(part))


def _families(part: Part | None = None) -> str:
    found = list(dict.fromkeys(a.family for a in ARCHITECTURES if part in (None, a.part)))
    return ", ".join(found[:-1]) + (" or " if len(found) > 1 else "") + found[-1]
