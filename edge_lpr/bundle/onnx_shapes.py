"""The operators that models of a bundle are made of: the shapes that each gives, and the work that it is.

`OPERATORS` is the allow-list: what the exports of PP-OCRv3 to v5 and their quantized forms are made of, with
a few that stand beside those in ONNX and are bounded alike. None repeats, branches, or gives a shape that
depends on what the image shows, so what a model takes follows from the size of its input alone.

Shapes follow ONNX's operator specification, opsets 7 to 21.
"""

from __future__ import annotations

import math

from edge_lpr.bundle.onnx_known import Known, Result, Rule, broadcast, integer, whole, without
from edge_lpr.bundle.onnx_moves import MOVES
from edge_lpr.bundle.onnx_reader import Node, Tensor
from edge_lpr.bundle.onnx_windows import WINDOWS

__all__ = ["OPERATORS"]

_NUMBERS = frozenset({1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 16})
"""ONNX's numbers of the types that a Cast may go to: those of numbers, not texts, which take many bytes."""


def _joint(node: Node, known: Known) -> Result:
    return whole(broadcast([known.shape(node, i) for i in range(len(node.inputs))]))


def _same(node: Node, known: Known) -> Result:
    shape = known.shape(node)
    return Result((shape,) * len(node.outputs), math.prod(shape) * 2)


def _kept(node: Node, known: Known) -> Result:
    shape = known.shape(node)
    return Result((shape,) * len(node.outputs), math.prod(shape), known.values.get(node.inputs[0]))


def _cast(node: Node, known: Known) -> Result:
    if integer(node, "to", 0) not in _NUMBERS:
        raise ValueError(f"it casts to type {node.attributes.get('to')}, which is no number")
    return _kept(node, known)


def _constant(node: Node, known: Known) -> Result:
    for name in ("value", "value_int", "value_float", "value_ints", "value_floats"):
        if name in node.attributes:
            value = node.attributes[name]
            if isinstance(value, Tensor):
                return Result((value.shape,), 0, value.values)
            values = value if isinstance(value, tuple) else (value,)
            return Result(((len(values),) if isinstance(value, tuple) else (),), 0, values)
    raise ValueError("it holds no number")


def _mat_mul(node: Node, known: Known) -> Result:
    left, right = known.shape(node), known.shape(node, 1)
    if not left or not right:
        raise ValueError("a product with a single number")
    rows, columns = left[-2:-1], right[-1:] if len(right) > 1 else ()
    depth = right[-2] if len(right) > 1 else right[-1]
    if left[-1] != depth:
        raise ValueError(f"shapes {left} and {right} do not fit")
    shape = (*broadcast([left[:-2], right[:-2]]), *rows, *columns)
    return whole(shape, math.prod(shape) * depth)


def _gemm(node: Node, known: Known) -> Result:
    left, right = known.shape(node), known.shape(node, 1)
    if len(left) != 2 or len(right) != 2:
        raise ValueError(f"shapes {left} and {right} are no matrices")
    rows, depth = left[::-1] if integer(node, "transA", 0) else left
    columns = right[0] if integer(node, "transB", 0) else right[1]
    return whole((rows, columns), rows * columns * depth)


def _reduce(node: Node, known: Known) -> Result:
    shape = known.shape(node)
    axes = known.integers(node, 1, "axes")
    if not axes:
        axes = () if integer(node, "noop_with_empty_axes", 0) else tuple(range(len(shape)))
    return whole(without(shape, axes, bool(integer(node, "keepdims", 1))), math.prod(shape))


def _arg(node: Node, known: Known) -> Result:
    shape = known.shape(node)
    axes = (integer(node, "axis", 0),)
    return whole(without(shape, axes, bool(integer(node, "keepdims", 1))), math.prod(shape))


_JOINT = "Add Sub Mul Div Pow Min Max PRelu Where And Or Equal Greater GreaterOrEqual Less LessOrEqual"
_EACH = (
    "Relu LeakyRelu Elu Sigmoid HardSigmoid HardSwish Clip Tanh Erf Gelu Softplus Exp Log Sqrt Abs Neg Floor "
    "Ceil Round Reciprocal Not Softmax LogSoftmax BatchNormalization InstanceNormalization "
    "LayerNormalization QuantizeLinear DequantizeLinear"
)

OPERATORS: dict[str, Rule] = {
    **WINDOWS,
    **MOVES,
    **dict.fromkeys(_JOINT.split(), _joint),
    **dict.fromkeys(_EACH.split(), _same),
    **dict.fromkeys(("Identity", "Dropout"), _kept),
    **dict.fromkeys(("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL2"), _reduce),
    **dict.fromkeys(("ArgMax", "ArgMin"), _arg),
    "Cast": _cast,
    "Constant": _constant,
    "Gemm": _gemm,
    "MatMul": _mat_mul,
}
