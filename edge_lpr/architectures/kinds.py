"""What PaddleOCR's DB detectors have in common, and what its CTC recognizers have."""

from __future__ import annotations

from collections.abc import Callable

from edge_lpr.architectures.layers import Network
from edge_lpr.architectures.registry import Architecture, register

__all__ = ["register_detector", "register_recognizer"]

_THRESHOLD = "head.thresh."
_GUIDES = ("head.sar_head.", "head.gtc_head.", "head.before_gtc.")


def register_detector(
    name: str,
    family: str,
    network: Callable[[int, bool], Network],
    rank: int,
    unused: tuple[str, ...] = (),
) -> Architecture:
    """Adds a DB detector; see `Architecture`.

    Args:
        name: PaddleOCR's name of the configuration.
        family: What error messages call it.
        network: Makes its tree.
        rank: Its place among the others.
        unused: Prefixes of parameters that no detector uses and checkpoints have all the same.
    """
    return register(
        Architecture(
            name=name,
            family=family,
            part="det",
            network=network,
            head="head.binarize.conv1.weight",
            training_only=(_THRESHOLD, *unused),
            # ImageNet's, given in the order red, green, blue and applied to blue, green, red by PaddleOCR.
            mean=(0.485, 0.456, 0.406),
            std=(0.229, 0.224, 0.225),
            stride=32,
            rank=rank,
        )
    )


def register_recognizer(
    name: str,
    family: str,
    network: Callable[[int, bool], Network],
    rank: int,
    unused: tuple[str, ...] = (),
    head: str = "head.ctc_head.fc.weight",
) -> Architecture:
    """Adds a CTC recognizer of lines 48 pixels high; see `Architecture`.

    Args:
        name: PaddleOCR's name of the configuration.
        family: What error messages call it.
        network: Makes its tree.
        rank: Its place among the others.
        unused: Prefixes of parameters that no recognizer uses and checkpoints have all the same.
        head: Its last weight.
    """
    return register(
        Architecture(
            name=name,
            family=family,
            part="rec",
            network=network,
            head=head,
            training_only=(*_GUIDES, *unused),
            mean=(0.5, 0.5, 0.5),
            std=(0.5, 0.5, 0.5),
            stride=8,
            height=48,
            rank=rank,
        )
    )
