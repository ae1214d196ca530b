"""The shapes that an engine takes."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Profile", "Shape"]

Shape = tuple[int, ...]
"""Sizes of a tensor, N×H×W×3 of an input."""


@dataclass(frozen=True)
class Profile:
    """The shapes that one optimization profile takes; the model has one input.

    Attributes:
        min: Smallest N×H×W×3.
        opt: The shape that kernels are chosen for.
        max: Largest N×H×W×3.
    """

    min: Shape
    opt: Shape
    max: Shape

    def holds(self, shape: Shape) -> bool:
        """Tells whether an input of this shape fits."""
        return len(shape) == len(self.min) and all(
            low <= size <= high for low, size, high in zip(self.min, shape, self.max, strict=True)
        )

    def __str__(self) -> str:
        return "×".join(
            str(low) if low == high else f"{low}–{high}" for low, high in zip(self.min, self.max, strict=True)
        )
