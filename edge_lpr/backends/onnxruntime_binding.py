"""ONNX Runtime on memory of the device that stays: its "I/O binding".

A plain run asks for memory of input and outputs on the device each time, and copies them there and back once
more than it has to.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["BoundSession"]


class BoundSession:
    """Runs a session on bound memory, from several threads at once: each run has memory of its own.

    Args:
        session: The `onnxruntime.InferenceSession`.
        kind: Where the memory is: "cuda", or "cpu".
        index: Number of the device.
    """

    def __init__(self, session: Any, kind: str, index: int) -> None:  # noqa: ANN401 - ONNX Runtime has no types
        self._session = session
        self._place = kind, index
        self._idle: list[_Memory] = []  # appended to and popped from, which no other thread can come between

    def run(self, outputs: Sequence[str], inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        """Runs it.

        Args:
            outputs: Names of all outputs.
            inputs: All inputs by name, C-contiguous.

        Returns:
            The outputs in that order, which belong to the caller.
        """
        memory = self._idle.pop() if self._idle else _Memory(self._session, self._place)
        found = memory.run(outputs, inputs)
        # Not after an error: what it left bound is not known.
        self._idle.append(memory)
        return found


class _Memory:
    """Input and outputs of one run at a time."""

    def __init__(self, session: Any, place: tuple[str, int]) -> None:  # noqa: ANN401
        self._session = session
        self._place = place
        self._binding = session.io_binding()
        self._inputs: dict[str, Any] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}

    def run(self, outputs: Sequence[str], inputs: Mapping[str, NDArray[Any]]) -> list[NDArray[Any]]:
        from onnxruntime import OrtValue

        shapes = {name: array.shape for name, array in inputs.items()}
        if shapes != self._shapes:
            for name, array in inputs.items():
                # Not `ortvalue_from_numpy`, which on a CPU makes the caller's array the memory itself.
                value = OrtValue.ortvalue_from_shape_and_type(array.shape, array.dtype.type, *self._place)
                self._inputs[name] = value
                self._binding.bind_ortvalue_input(name, value)
            for name in outputs:  # anew: the memory of the last run has the last run's shape
                self._binding.bind_output(name, *self._place)
        for name, array in inputs.items():
            self._inputs[name].update_inplace(array)
        self._session.run_with_iobinding(self._binding)
        self._shapes = shapes
        return [np.asarray(value) for value in self._binding.copy_outputs_to_cpu()]
