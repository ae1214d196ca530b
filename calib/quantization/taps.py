"""Runs a model and looks at tensors inside of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import onnx
from numpy.typing import NDArray

from edge_lpr.backends.onnxruntime import open_session
from edge_lpr.types import Batch

__all__ = ["TappedModel"]


class TappedModel:
    """A model whose inner tensors come out as further outputs.

    Args:
        model: The model, with one input; it is left as it is.
        names: The tensors to look at; its own outputs may be among them.

    Raises:
        ModelError: ONNX Runtime cannot load it, as where there is no such tensor.
    """

    def __init__(self, model: onnx.ModelProto, names: Iterable[str]) -> None:
        tapped = onnx.ModelProto.FromString(model.SerializeToString())
        self.names = list(names)
        present = {output.name for output in tapped.graph.output}
        tapped.graph.output.extend(
            onnx.helper.make_empty_tensor_value_info(name) for name in self.names if name not in present
        )
        self._input = tapped.graph.input[0].name
        self._session = open_session(tapped.SerializeToString())

    def run(self, batch: Batch) -> dict[str, NDArray[Any]]:
        """Runs the model once.

        Args:
            batch: For its input.

        Returns:
            The tensors by name, in the order of `names`.
        """
        return dict(zip(self.names, self._session.run(self.names, {self._input: batch}), strict=True))
