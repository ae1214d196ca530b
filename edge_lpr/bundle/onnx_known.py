"""What is known of the tensors of a model, and what its operators say in their attributes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from edge_lpr.bundle.onnx_reader import Node, Shape

__all__ = [
    "Known",
    "Result",
    "Rule",
    "Values",
    "axis_of",
    "broadcast",
    "integer",
    "integers_of",
    "whole",
    "without",
]

Values = tuple[float, ...]


@dataclass
class Known:
    """What is known of the tensors made so far.

    Attributes:
        shapes: Their shapes by name.
        values: Their elements, of those few that are a shape, axes or scales.
    """

    shapes: dict[str, Shape] = field(default_factory=dict)
    values: dict[str, Values] = field(default_factory=dict)

    def shape(self, node: Node, at: int = 0) -> Shape:
        """Returns the shape of an input.

        Raises:
            ValueError: The operator lacks it.
        """
        name = node.inputs[at] if at < len(node.inputs) else ""
        if name not in self.shapes:
            raise ValueError(f"it lacks input {at + 1}")
        return self.shapes[name]

    def given(self, node: Node, at: int) -> bool:
        """Tells whether an operator has an input that it may do without."""
        return at < len(node.inputs) and bool(node.inputs[at])

    def numbers(self, node: Node, at: int, attribute: str = "") -> Values | None:
        """Returns the elements of an input, or of the attribute that older opsets have in its place.

        Raises:
            ValueError: They depend on what is computed.
        """
        if self.given(node, at):
            name = node.inputs[at]
            if name not in self.values:
                raise ValueError(f"its input {at + 1} {name!r} is no constant and no shape")
            return self.values[name]
        found = node.attributes.get(attribute)
        return found if isinstance(found, tuple) else None

    def integers(self, node: Node, at: int, attribute: str = "") -> Shape | None:
        """Returns `numbers` as integers."""
        found = self.numbers(node, at, attribute)
        return None if found is None else tuple(int(v) for v in found)


@dataclass(frozen=True)
class Result:
    """What an operator gives.

    Attributes:
        shapes: The shapes of its outputs.
        work: Multiply-adds or the like.
        values: The elements of its first output, where they are few and known.
    """

    shapes: tuple[Shape, ...]
    work: int
    values: Values | None = None


Rule = Callable[[Node, Known], Result]
"""Says what an operator gives; raises `ValueError` or `TypeError` where that is wrong or not known."""


def integer(node: Node, name: str, default: int) -> int:
    """Returns an attribute that is one integer."""
    value = node.attributes.get(name, default)
    if not isinstance(value, int):
        raise TypeError(f"its {name} is {str(value)[:40]}")
    return value


def integers_of(node: Node, name: str, default: Shape, length: int) -> Shape:
    """Returns an attribute that is a list of so many integers."""
    value = node.attributes.get(name, default)
    if not isinstance(value, tuple) or len(value) != length or any(type(v) is not int for v in value):
        raise ValueError(f"its {name} is {str(value)[:40]}, expected {length} integers")
    return value


def axis_of(axis: int, rank: int) -> int:
    """Returns an axis counted from the first, whichever end it was counted from."""
    if not -rank <= axis < rank:
        raise ValueError(f"axis {axis} of {rank}")
    return axis % rank


def whole(shape: Shape, work: int | None = None) -> Result:
    """Returns one output; its work is an operation an element where it is not told."""
    return Result((shape,), math.prod(shape) if work is None else work)


def broadcast(shapes: Sequence[Shape]) -> Shape:
    """Returns the shape that several go up to together, by NumPy's rule."""
    rank = max(map(len, shapes))
    result = []
    for sides in zip(*((1,) * (rank - len(shape)) + shape for shape in shapes), strict=True):
        wide = {side for side in sides if side != 1}
        if len(wide) > 1:
            raise ValueError(f"shapes {' and '.join(map(str, shapes))} do not fit")
        result.append(wide.pop() if wide else 1)
    return tuple(result)


def without(shape: Shape, axes: Sequence[int], keep: bool) -> Shape:
    """Returns a shape without some axes, or with 1 in their place."""
    gone = {axis_of(axis, len(shape)) for axis in axes}
    sides = [1 if i in gone else side for i, side in enumerate(shape)]
    return tuple(side for i, side in enumerate(sides) if keep or i not in gone)
