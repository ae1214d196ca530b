"""Inputs and outputs of an engine: names, types, and the shapes that its profiles take."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_lpr.backends.tensorrt.profile import Profile, Shape
from edge_lpr.errors import BackendError

if TYPE_CHECKING:
    import tensorrt as trt

# NumPy's types by TensorRT's names. `trt.nptype` is not used: that of 8.6 fails on numpy 1.24 and later.
DTYPES: dict[str, type[np.generic]] = {
    "FLOAT": np.float32,
    "HALF": np.float16,
    "INT8": np.int8,
    "INT32": np.int32,
    "INT64": np.int64,
    "UINT8": np.uint8,
    "BOOL": np.bool_,
}


@dataclass(frozen=True)
class Tensors:
    """Inputs and outputs of an engine.

    Attributes:
        input: Name of the one input.
        dtype: The input's type.
        outputs: The outputs' names and types.
        profiles: The shapes that each optimization profile takes, by its index.
    """

    input: str
    dtype: np.dtype[Any]
    outputs: Mapping[str, np.dtype[Any]]
    profiles: tuple[Profile, ...]

    @classmethod
    def from_engine(cls, engine: trt.ICudaEngine) -> Tensors:
        """Reads them off an engine.

        Raises:
            BackendError: It has more than one input, or a type that numpy has not.
        """
        import tensorrt as trt

        inputs: dict[str, np.dtype[Any]] = {}
        outputs: dict[str, np.dtype[Any]] = {}
        for index in range(engine.num_io_tensors):
            name = engine.get_tensor_name(index)
            kind = engine.get_tensor_dtype(name).name
            if kind not in DTYPES:
                raise BackendError(f"the engine's {name!r} is {kind}, which this kit cannot pass")
            side = inputs if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT else outputs
            side[name] = np.dtype(DTYPES[kind])
        if len(inputs) != 1:
            raise BackendError(f"the engine has {len(inputs)} inputs ({', '.join(inputs)}), expected one")
        name, dtype = next(iter(inputs.items()))
        shapes = [engine.get_tensor_profile_shape(name, i) for i in range(engine.num_optimization_profiles)]
        return cls(name, dtype, outputs, tuple(Profile(*(tuple(s) for s in three)) for three in shapes))

    def profile(self, shape: Shape) -> int | None:
        """Returns the index of the tightest profile that holds a shape, None where none does."""
        holding = [i for i, profile in enumerate(self.profiles) if profile.holds(shape)]
        return min(holding, key=lambda i: math.prod(self.profiles[i].max), default=None)
