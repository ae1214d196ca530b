"""What a network returned, before anything is made of it.

A detector returns its map of probabilities in float32, or, from an engine that was built for it, packed
(`PackedMap`): the map in steps of 1/255, and beside it one bit a pixel for what decides the boxes' outlines,
whether the probability is over DB's threshold. That is 9 bits a pixel in place of 32, and the same boxes:
only their scores are rounded, by 1/510 at most.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_lpr.backends.base import Backend
from edge_lpr.bundle.model_file import ModelFile
from edge_lpr.errors import BackendError
from edge_lpr.precisions import REFERENCE
from edge_lpr.types import ByteMap, FloatMap, Mask, Size

__all__ = ["LEVELS", "PackedMap", "ProbabilityMap", "check_finite", "check_shape", "read_maps"]

LEVELS = 255
"""What 1 is worth in a packed map."""


@dataclass(frozen=True)
class PackedMap:
    """Names of the outputs that an engine has in place of the map.

    Attributes:
        levels: uint8 N×H×W, each probability × 255, rounded.
        above: uint8 N×H×W/8, whether it is over the threshold: eight pixels a byte, the leftmost the highest
            bit.
        total: float32 N, the sum of the map: not finite where a pixel is not.
    """

    levels: str
    above: str
    total: str

    @classmethod
    def of(cls, output: str, threshold: float) -> PackedMap:
        """Names them.

        Args:
            output: Name of the float map.
            threshold: DB's threshold, 0 to 1; part of a name, so that an engine says what it compares with.
        """
        return cls(f"{output}_levels", f"{output}_above_{threshold!r}", f"{output}_total")


@dataclass(frozen=True, eq=False)
class ProbabilityMap:
    """A detector's map of one image.

    Attributes:
        values: float32 H×W, 0 to 1, or uint8 H×W, probabilities × 255.
        above: uint8 H×W, 1 where the probability is over the threshold, else 0.
    """

    values: FloatMap | ByteMap
    above: Mask

    @property
    def unit(self) -> float:
        """What 1 of `values` is worth as a probability."""
        return 1 / LEVELS if self.values.dtype == np.uint8 else 1.0

    @classmethod
    def compared(cls, values: FloatMap | ByteMap, threshold: float) -> ProbabilityMap:
        """Compares a map with a threshold, 0 to 1."""
        scaled = threshold * LEVELS if values.dtype == np.uint8 else threshold
        return cls(values, (values > scaled).astype(np.uint8))

    def part(self, height: int, width: int) -> ProbabilityMap:
        """Returns the upper left part."""
        return ProbabilityMap(self.values[:height, :width], np.ascontiguousarray(self.above[:height, :width]))


def read_maps(
    outputs: Mapping[str, NDArray[Any]],
    output: str,
    threshold: float,
    backend: Backend,
    files: Mapping[str, ModelFile],
) -> list[ProbabilityMap]:
    """Reads a detector's maps off what it returned.

    Args:
        outputs: What the backend returned.
        output: Name of the float map.
        threshold: DB's threshold, 0 to 1. One that an engine was not built for is compared with the rounded
            map.
        backend: What ran it.
        files: The model's files by precision; see `DetSpec.precisions`.

    Raises:
        BackendError: There is no map, or a number in it is not finite.
    """
    what = "the detector"
    if output in outputs:
        maps = outputs[output]
        check_finite(maps, what, backend, files)
        return [ProbabilityMap.compared(values, threshold) for values in maps]
    names = PackedMap.of(output, threshold)
    if names.levels not in outputs or names.total not in outputs:
        raise BackendError(
            f"{what} returned {', '.join(outputs) or 'nothing'}, expected {output!r}: bundle.json and the "
            "model do not fit each other; export the bundle again, or build its engine again"
        )
    check_finite(outputs[names.total], what, backend, files)
    levels = outputs[names.levels]
    if names.above not in outputs:
        return [ProbabilityMap.compared(values, threshold) for values in levels]
    bits = np.unpackbits(outputs[names.above], axis=-1, count=levels.shape[-1])
    return [ProbabilityMap(values, above) for values, above in zip(levels, bits, strict=True)]


def check_shape(maps: list[ProbabilityMap], count: int, size: Size) -> None:
    """Sees that a detector returned a map of the right size for each image.

    Raises:
        BackendError: It did not.
    """
    shapes = {m.values.shape for m in maps}
    if len(maps) != count or shapes != {size}:
        found = (len(maps), *next(iter(shapes), ()))
        raise BackendError(
            f"the detector returned shape {found}, expected {(count, *size)}: "
            "bundle.json and the model do not fit each other; export the bundle again"
        )


def check_finite(values: NDArray[Any], what: str, backend: Backend, files: Mapping[str, ModelFile]) -> None:
    """Sees that a network's output is finite: one that is not would read as a picture without plates.

    Args:
        values: The output.
        what: "the detector" or "the recognizer".
        backend: What ran it.
        files: The model's files by precision; see `DetSpec.precisions`.

    Raises:
        BackendError: There is a NaN or an infinity in it.
    """
    if np.isfinite(values).all():
        return
    file = files.get(backend.precision)
    model = f"{what} ({f'{file.path}, ' if file else ''}{backend.precision})"
    remedy = "make or copy the model again, or build its engine again"
    if backend.precision != REFERENCE:
        remedy = f"try --precision {REFERENCE}, or {remedy}"
    raise BackendError(
        f"{model} in {backend.name} on {backend.device} returned numbers that are not finite: an overflow of "
        f"its precision, or a damaged model or engine; {remedy}"
    )
