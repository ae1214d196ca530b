"""What the pipeline asks of an inference backend, whichever runs below it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from numpy.typing import NDArray


@runtime_checkable
class Backend(Protocol):
    """One loaded model: named arrays in, named arrays out.

    `run` may be called from several threads at once. Arrays that come back belong to the caller.

    Attributes:
        name: "onnxruntime", "tensorrt".
        precision: "fp32", "fp16" or "int8".
        device: "cpu", or the GPU's name.
        max_batch: Largest batch that one `run` takes; None where any does.
        sizes: Heights and widths that the input may have, in pixels, ascending by area; None where any may.
    """

    name: str
    precision: str
    device: str
    max_batch: int | None
    sizes: tuple[tuple[int, int], ...] | None

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Runs the model once.

        Args:
            inputs: The model's inputs by name, C-contiguous, uint8 N×H×W×3 in this kit's bundles.

        Returns:
            The model's outputs by name.

        Raises:
            BackendError: The shape is not one that the model takes, or the device failed.
        """
        ...

    def close(self) -> None:
        """Frees what the model holds; may be called twice."""
        ...
