"""The two networks of PP-OCRv3 in Paddle, filled from a checkpoint's arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import paddle
from numpy.typing import NDArray

from edge_lpr.architectures.paddle_det import DetNetwork
from edge_lpr.architectures.paddle_rec import RecNetwork
from edge_lpr.architectures.parameters import (
    DET_UNUSED,
    REC_UNUSED,
    check_parameters,
    ctc_classes,
    det_parameters,
    rec_parameters,
)
from edge_lpr.errors import ModelError

__all__ = ["DetNetwork", "RecNetwork", "det_network", "rec_network"]


def det_network(arrays: Mapping[str, NDArray[Any]], label: str) -> tuple[DetNetwork, list[str]]:
    """Builds the detection network from a checkpoint's arrays.

    Args:
        arrays: Arrays by PaddleOCR's parameter names, one branch of a distillation checkpoint at most.
        label: What error messages call the checkpoint.

    Returns:
        The network in inference mode, and the names of the parameters that only training uses.

    Raises:
        ModelError: The checkpoint does not hold exactly what the network needs.
    """
    if "head.ctc_head.fc.weight" in arrays:
        raise ModelError(f"{label}: a recognition checkpoint, expected one of a detection network")
    ignored = check_parameters(arrays, det_parameters(), DET_UNUSED, label)
    network = DetNetwork()
    _fill(network, arrays, ignored)
    return network, ignored


def rec_network(arrays: Mapping[str, NDArray[Any]], label: str) -> tuple[RecNetwork, list[str]]:
    """Builds the recognition network from a checkpoint's arrays; see `det_network`."""
    classes = ctc_classes(arrays, label)
    ignored = check_parameters(arrays, rec_parameters(classes), REC_UNUSED, label)
    network = RecNetwork(classes)
    _fill(network, arrays, ignored)
    return network, ignored


def _fill(network: Any, arrays: Mapping[str, NDArray[Any]], ignored: list[str]) -> None:  # noqa: ANN401
    state = {
        name: paddle.to_tensor(a.astype("float32")) for name, a in arrays.items() if name not in set(ignored)
    }
    missing, unexpected = network.set_state_dict(state)
    assert not missing and not unexpected, (missing, unexpected)  # checked before, by name
    network.eval()
