"""Whether a model may be run: operators that are known, and a bound on the memory and the work of one run.

A bundle may come from anybody. ONNX can express loops without an end, code of one's own, and a few hundred
bytes that ask for a terabyte; an inference engine runs all of it. So a bundle's models are looked at first,
without the package onnx, at the largest input that their bundle.json allows.
"""

from __future__ import annotations

import math
from collections import Counter

from edge_lpr.bundle.onnx_known import Known
from edge_lpr.bundle.onnx_reader import Node, OnnxModel, Shape, read_onnx
from edge_lpr.bundle.onnx_shapes import OPERATORS
from edge_lpr.errors import one_line, shown

__all__ = ["MAX_ELEMENTS", "MAX_WORK", "Cost", "check_onnx"]

MAX_ELEMENTS = 1 << 30
"""Most numbers that one run may hold at once, of four bytes each."""
MAX_WORK = 4 * 10**12
"""Most multiply-adds of one run."""
_MAX_RANK = 8


class Cost:
    """What one run takes.

    Attributes:
        elements: Most numbers that are held at once, without the constants.
        work: Multiply-adds.
    """

    def __init__(self) -> None:
        self.elements = 0
        self.work = 0


def check_onnx(data: bytes, input_shape: Shape) -> Cost:
    """Checks that an ONNX model is made of known operators and takes no more than a model of a bundle may.

    Args:
        data: The ONNX file.
        input_shape: The largest input that it is to take; a side that the model fixes itself counts as there.

    Returns:
        What one run with such an input takes.

    Raises:
        ValueError: It is damaged, has other operators, takes more, or what it takes cannot be told.
    """
    model = read_onnx(data)
    if model.domains:
        raise ValueError(f"it has operators of {', '.join(sorted(model.domains))[:80]}, expected ONNX's own")
    unknown = Counter(node.op for node in model.nodes if node.op not in OPERATORS)
    if unknown:
        raise ValueError(f"it has the operator {', '.join(sorted(unknown))[:80]}, which is not allowed")
    if len(model.inputs) != 1:
        raise ValueError(
            f"it has the inputs {', '.join(sorted(model.inputs))[:80] or '(none)'}, expected one"
        )
    return _run(model, input_shape)


def _run(model: OnnxModel, input_shape: Shape) -> Cost:
    known = Known()
    for name, tensor in model.constants.items():
        known.shapes[name] = tensor.shape
        if tensor.values is not None:
            known.values[name] = tensor.values
    ((name, declared),) = model.inputs.items()
    if declared and len(declared) != len(input_shape):
        raise ValueError(f"its input has {len(declared)} sides, expected {len(input_shape)}")
    fixed = declared or (-1,) * len(input_shape)
    known.shapes[name] = tuple(
        side if side > 0 else largest for side, largest in zip(fixed, input_shape, strict=True)
    )
    readers = Counter(name for node in model.nodes for name in set(node.inputs))
    readers.update(model.outputs)
    cost = Cost()
    held = _size(known.shapes[name])
    for node in model.nodes:
        try:
            held += _step(node, known, cost)
            cost.elements = max(cost.elements, held)
            _check(cost)
        except (ValueError, ArithmeticError, LookupError, TypeError) as e:  # made up, it may break any rule
            called = f"{node.op} {shown(node.name)}" if node.name else node.op
            raise ValueError(f"its operator {called}: {one_line(e)}") from e
        for done in set(node.inputs):
            readers[done] -= 1
            if readers[done] == 0 and done and done not in model.constants:
                held -= _size(known.shapes[done])
    return cost


def _step(node: Node, known: Known, cost: Cost) -> int:
    """Adds what an operator gives to what is known; returns how many numbers that is."""
    missing = [name for name in node.inputs if name and name not in known.shapes]
    if missing:
        raise ValueError(f"its input {shown(missing[0])} is made by nothing before it")
    result = OPERATORS[node.op](node, known)
    made = 0
    for name, shape in zip(node.outputs, result.shapes, strict=False):
        if not name:
            continue
        if name in known.shapes:
            raise ValueError(f"it makes {name!r}, which is there already")
        if len(shape) > _MAX_RANK or min(shape, default=0) < 0:
            raise ValueError(f"an output of {shape}")
        known.shapes[name] = shape
        made += _size(shape)
    if result.values is not None and node.outputs:
        known.values[node.outputs[0]] = result.values
    cost.work += result.work
    return made


def _size(shape: Shape) -> int:
    return math.prod(shape)


def _check(cost: Cost) -> None:
    if cost.elements > MAX_ELEMENTS:
        raise ValueError(f"{cost.elements:.3g} numbers at once, more than {MAX_ELEMENTS:.3g}")
    if cost.work > MAX_WORK:
        raise ValueError(f"{cost.work:.3g} multiply-adds, more than {MAX_WORK:.3g}")
