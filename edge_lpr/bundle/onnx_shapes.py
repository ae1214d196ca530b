"""The operators that models of a bundle are made of: the shapes that each gives, and the work that it is.

`OPERATORS` is the allow-list: what the exports of PP-OCRv3 to v5 and their quantized forms are made of, with
a few that stand beside those in ONNX and are bounded alike. None repeats, branches, or gives a shape that
depends on what the image shows, so what a model takes follows from the size of its input alone.

Shapes follow ONNX's operator specification, opsets 7 to 21.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from edge_lpr.bundle.onnx_reader import Node, Shape, Tensor

__all__ = ["OPERATORS", "Known", "Rule"]

Values = tuple[float, ...]
_NUMBERS = frozenset({1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 16})
"""ONNX's numbers of the types that a Cast may go to: those of numbers, not texts, which take many bytes."""


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


def _integer(node: Node, name: str, default: int) -> int:
    value = node.attributes.get(name, default)
    if not isinstance(value, int):
        raise TypeError(f"its {name} is {str(value)[:40]}")
    return value


def _list(node: Node, name: str, default: Shape, length: int) -> Shape:
    value = node.attributes.get(name, default)
    if not isinstance(value, tuple) or len(value) != length or any(type(v) is not int for v in value):
        raise ValueError(f"its {name} is {str(value)[:40]}, expected {length} integers")
    return value


def _axis(axis: int, rank: int) -> int:
    if not -rank <= axis < rank:
        raise ValueError(f"axis {axis} of {rank}")
    return axis % rank


def _whole(shape: Shape, work: int | None = None) -> Result:
    return Result((shape,), math.prod(shape) if work is None else work)


def _broadcast(shapes: Sequence[Shape]) -> Shape:
    rank = max(map(len, shapes))
    result = []
    for sides in zip(*((1,) * (rank - len(shape)) + shape for shape in shapes), strict=True):
        wide = {side for side in sides if side != 1}
        if len(wide) > 1:
            raise ValueError(f"shapes {' and '.join(map(str, shapes))} do not fit")
        result.append(wide.pop() if wide else 1)
    return tuple(result)


def _joint(node: Node, known: Known) -> Result:
    return _whole(_broadcast([known.shape(node, i) for i in range(len(node.inputs))]))


def _same(node: Node, known: Known) -> Result:
    shape = known.shape(node)
    return Result((shape,) * len(node.outputs), math.prod(shape) * 2)


def _kept(node: Node, known: Known) -> Result:
    shape = known.shape(node)
    return Result((shape,) * len(node.outputs), math.prod(shape), known.values.get(node.inputs[0]))


def _cast(node: Node, known: Known) -> Result:
    if _integer(node, "to", 0) not in _NUMBERS:
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


# Convolutions and pools


def _window(node: Node, sides: Shape, kernel: Shape) -> tuple[Shape, Shape, Shape]:
    """Strides, dilations and paddings (of both ends together) of a sliding window."""
    count = len(sides)
    strides = _list(node, "strides", (1,) * count, count)
    dilations = _list(node, "dilations", (1,) * count, count)
    pads = _list(node, "pads", (0,) * 2 * count, 2 * count)
    if min((*strides, *dilations, *kernel, 1)) < 1 or min((*pads, 0)) < 0:
        raise ValueError(f"a window of {kernel}, strides {strides}, dilations {dilations}, pads {pads}")
    return strides, dilations, tuple(pads[i] + pads[i + count] for i in range(count))


def _slid(node: Node, sides: Shape, kernel: Shape) -> Shape:
    if len(kernel) != len(sides):
        raise ValueError(f"a window of {kernel} over {sides}")
    strides, dilations, pads = _window(node, sides, kernel)
    automatic = node.attributes.get("auto_pad", "NOTSET")
    result = []
    for side, width, stride, dilation, pad in zip(sides, kernel, strides, dilations, pads, strict=True):
        span = dilation * (width - 1) + 1
        if automatic in ("SAME_UPPER", "SAME_LOWER"):
            result.append(-(-side // stride))
            continue
        free = side - span + (0 if automatic == "VALID" else pad)
        result.append((-(-free // stride) if _integer(node, "ceil_mode", 0) else free // stride) + 1)
    if min(result, default=1) < 1:
        raise ValueError(f"a window of {kernel} is larger than {sides}")
    return tuple(result)


def _images(node: Node, known: Known) -> tuple[int, int, Shape]:
    """Number, channels and sides of what is slid over."""
    shape = known.shape(node)
    if len(shape) < 3:
        raise ValueError(f"its input of shape {shape} is no image")
    return shape[0], shape[1], shape[2:]


def _conv(node: Node, known: Known) -> Result:
    number, _, sides = _images(node, known)
    out, inside, *kernel = known.shape(node, 1)
    shape = (number, out, *_slid(node, sides, tuple(kernel)))
    return _whole(shape, math.prod(shape) * inside * math.prod(kernel))


def _conv_transpose(node: Node, known: Known) -> Result:
    number, channels, sides = _images(node, known)
    _, out, *kernel = known.shape(node, 1)
    if len(kernel) != len(sides):
        raise ValueError(f"a window of {kernel} over {sides}")
    strides, dilations, pads = _window(node, sides, tuple(kernel))
    extra = _list(node, "output_padding", (0,) * len(sides), len(sides))
    same = node.attributes.get("auto_pad", "NOTSET") in ("SAME_UPPER", "SAME_LOWER")
    result = [
        stride * side if same else stride * (side - 1) + more + dilation * (width - 1) + 1 - pad
        for side, width, stride, dilation, more, pad in zip(
            sides, kernel, strides, dilations, extra, pads, strict=True
        )
    ]
    if "output_shape" in node.attributes:
        result = list(_list(node, "output_shape", (), len(sides)))
    if min((*result, *(n + 1 for n in extra))) < 1:
        raise ValueError(f"an output of {result}")
    work = number * channels * math.prod(sides) * out * math.prod(kernel)
    return _whole((number, out * _integer(node, "group", 1), *result), work)


def _pool(node: Node, known: Known) -> Result:
    number, channels, sides = _images(node, known)
    kernel = _list(node, "kernel_shape", (), len(sides))
    shape = (number, channels, *_slid(node, sides, kernel))
    return Result((shape,) * len(node.outputs), math.prod(shape) * math.prod(kernel))


def _global_pool(node: Node, known: Known) -> Result:
    number, channels, sides = _images(node, known)
    return _whole((number, channels, *(1 for _ in sides)), math.prod(known.shape(node)))


def _resize(node: Node, known: Known) -> Result:
    shape = known.shape(node)
    axes = node.attributes.get("axes") or tuple(range(len(shape)))
    at = 1 if len(node.inputs) == 2 else 2  # opset 10 has no region
    result = list(shape)
    if known.given(node, 3):
        wanted = known.integers(node, 3) or ()
        if node.attributes.get("keep_aspect_ratio_policy", "stretch") != "stretch":
            raise ValueError("it keeps an aspect ratio")
    else:
        scales = known.numbers(node, at) or ()
        if not all(0 < scale < math.inf for scale in scales) or len(scales) != len(axes):
            raise ValueError(f"it scales by {scales}")
        wanted = tuple(int(shape[_axis(a, len(shape))] * s) for a, s in zip(axes, scales, strict=True))
    if len(wanted) != len(axes) or min(wanted, default=1) < 1:
        raise ValueError(f"an output of {wanted} along {axes}")
    for axis, side in zip(axes, wanted, strict=True):
        result[_axis(axis, len(shape))] = side
    return _whole(tuple(result), 16 * math.prod(result))


# Products and sums


def _mat_mul(node: Node, known: Known) -> Result:
    left, right = known.shape(node), known.shape(node, 1)
    if not left or not right:
        raise ValueError("a product with a single number")
    rows, columns = left[-2:-1], right[-1:] if len(right) > 1 else ()
    depth = right[-2] if len(right) > 1 else right[-1]
    if left[-1] != depth:
        raise ValueError(f"shapes {left} and {right} do not fit")
    shape = (*_broadcast([left[:-2], right[:-2]]), *rows, *columns)
    return _whole(shape, math.prod(shape) * depth)


def _gemm(node: Node, known: Known) -> Result:
    left, right = known.shape(node), known.shape(node, 1)
    if len(left) != 2 or len(right) != 2:
        raise ValueError(f"shapes {left} and {right} are no matrices")
    rows, depth = left[::-1] if _integer(node, "transA", 0) else left
    columns = right[0] if _integer(node, "transB", 0) else right[1]
    return _whole((rows, columns), rows * columns * depth)


def _reduce(node: Node, known: Known) -> Result:
    shape = known.shape(node)
    axes = known.integers(node, 1, "axes")
    if not axes:
        axes = () if _integer(node, "noop_with_empty_axes", 0) else tuple(range(len(shape)))
    return _whole(_without(shape, axes, bool(_integer(node, "keepdims", 1))), math.prod(shape))


def _arg(node: Node, known: Known) -> Result:
    shape = known.shape(node)
    axes = (_integer(node, "axis", 0),)
    return _whole(_without(shape, axes, bool(_integer(node, "keepdims", 1))), math.prod(shape))


def _without(shape: Shape, axes: Sequence[int], keep: bool) -> Shape:
    gone = {_axis(axis, len(shape)) for axis in axes}
    sides = [1 if i in gone else side for i, side in enumerate(shape)]
    return tuple(side for i, side in enumerate(sides) if keep or i not in gone)


# What moves and cuts


def _transpose(node: Node, known: Known) -> Result:
    shape = known.shape(node)
    order = _list(node, "perm", tuple(range(len(shape)))[::-1], len(shape))
    if sorted(order) != list(range(len(shape))):
        raise ValueError(f"its perm is {order}")
    return _whole(tuple(shape[i] for i in order))


def _reshape(node: Node, known: Known) -> Result:
    shape = known.shape(node)
    wanted = list(known.integers(node, 1, "shape") or ())
    if not _integer(node, "allowzero", 0):
        wanted = [shape[i] if side == 0 and i < len(shape) else side for i, side in enumerate(wanted)]
    size, rest = math.prod(shape), math.prod(side for side in wanted if side != -1)
    if wanted.count(-1) == 1 and rest > 0 and size % rest == 0:
        wanted[wanted.index(-1)] = size // rest
    if min(wanted, default=0) < 0 or math.prod(wanted) != size:
        raise ValueError(f"shape {shape} does not fit into {wanted}")
    return Result((tuple(wanted),), 0, known.values.get(node.inputs[0]))


def _flatten(node: Node, known: Known) -> Result:
    shape = known.shape(node)
    axis = _integer(node, "axis", 1)
    axis = axis if axis == len(shape) else _axis(axis, len(shape))
    return Result(((math.prod(shape[:axis]), math.prod(shape[axis:])),), 0)


def _squeeze(node: Node, known: Known) -> Result:
    shape = known.shape(node)
    axes = known.integers(node, 1, "axes")
    if axes is None:
        axes = tuple(i for i, side in enumerate(shape) if side == 1)
    if any(shape[_axis(axis, len(shape))] != 1 for axis in axes):
        raise ValueError(f"axes {axes} of {shape} are not all 1")
    return Result((_without(shape, axes, keep=False),), 0, known.values.get(node.inputs[0]))


def _unsqueeze(node: Node, known: Known) -> Result:
    shape = list(known.shape(node))
    axes = known.integers(node, 1, "axes") or ()
    rank = len(shape) + len(axes)
    for axis in sorted(_axis(axis, rank) for axis in axes):
        shape.insert(axis, 1)
    return Result((tuple(shape),), 0, known.values.get(node.inputs[0]))


def _concat(node: Node, known: Known) -> Result:
    shapes = [known.shape(node, i) for i in range(len(node.inputs))]
    axis = _axis(_integer(node, "axis", 0), len(shapes[0]))
    rest = {(*shape[:axis], *shape[axis + 1 :]) for shape in shapes if len(shape) == len(shapes[0])}
    if len(rest) != 1 or any(len(shape) != len(shapes[0]) for shape in shapes):
        raise ValueError(f"shapes {' and '.join(map(str, shapes[:4]))} do not fit")
    side = sum(shape[axis] for shape in shapes)
    shape = (*shapes[0][:axis], side, *shapes[0][axis + 1 :])
    known_values = [known.values.get(name) for name in node.inputs]
    values: Values | None = None
    if len(shape) == 1 and all(v is not None for v in known_values):
        values = tuple(number for part in known_values for number in part or ())
    return Result((shape,), math.prod(shape), values)


def _slice(node: Node, known: Known) -> Result:
    shape = known.shape(node)
    starts, ends = known.integers(node, 1, "starts") or (), known.integers(node, 2, "ends") or ()
    axes = known.integers(node, 3, "axes") or tuple(range(len(starts)))
    steps = known.integers(node, 4) or (1,) * len(starts)
    if not len(starts) == len(ends) == len(axes) == len(steps) or 0 in steps:
        raise ValueError(f"a slice from {starts} to {ends} by {steps} along {axes}")
    result = list(shape)
    values = known.values.get(node.inputs[0])
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        at = _axis(axis, len(shape))
        cut = slice(start, None if step < 0 and end < -shape[at] else end, step)
        result[at] = len(range(shape[at])[cut])
        values = values[cut] if values is not None and len(shape) == 1 else None
    return Result((tuple(result),), math.prod(result), values)


def _split(node: Node, known: Known) -> Result:
    shape = known.shape(node)
    axis = _axis(_integer(node, "axis", 0), len(shape))
    count, side = len(node.outputs), shape[axis]
    size = -(-side // count)
    even = tuple(min(size, max(0, side - size * i)) for i in range(count))
    sizes = known.integers(node, 1, "split") or even
    if len(sizes) != count or sum(sizes) != side or min(sizes) < 0:
        raise ValueError(f"{side} split into {sizes}")
    return Result(tuple((*shape[:axis], n, *shape[axis + 1 :]) for n in sizes), math.prod(shape))


def _gather(node: Node, known: Known) -> Result:
    shape, indices = known.shape(node), known.shape(node, 1)
    axis = _axis(_integer(node, "axis", 0), len(shape))
    result = (*shape[:axis], *indices, *shape[axis + 1 :])
    source, chosen = known.values.get(node.inputs[0]), known.values.get(node.inputs[1])
    values: Values | None = None
    if source is not None and chosen is not None and len(shape) == 1:
        values = tuple(source[_axis(int(i), len(source))] for i in chosen)
    return Result((result,), math.prod(result), values)


def _shape(node: Node, known: Known) -> Result:
    shape = known.shape(node)
    found = shape[_integer(node, "start", 0) : _integer(node, "end", len(shape))]
    return Result(((len(found),),), 0, found)


def _pad(node: Node, known: Known) -> Result:
    shape = known.shape(node)
    pads = known.integers(node, 1, "pads") or ()
    axes = known.integers(node, 3) or tuple(range(len(shape)))
    if len(pads) != 2 * len(axes):
        raise ValueError(f"its pads are {pads}")
    result = list(shape)
    for i, axis in enumerate(axes):
        result[_axis(axis, len(shape))] += pads[i] + pads[i + len(axes)]
    if min(result, default=0) < 0:
        raise ValueError(f"an output of {result}")
    return _whole(tuple(result))


def _expand(node: Node, known: Known) -> Result:
    wanted = known.integers(node, 1) or ()
    return _whole(_broadcast([known.shape(node), wanted]))


def _tile(node: Node, known: Known) -> Result:
    shape, repeats = known.shape(node), known.integers(node, 1) or ()
    if len(repeats) != len(shape):
        raise ValueError(f"it repeats {shape} by {repeats}")
    return _whole(tuple(side * times for side, times in zip(shape, repeats, strict=True)))


def _filled(node: Node, known: Known) -> Result:
    return _whole(known.integers(node, 0) or ())


_JOINT = "Add Sub Mul Div Pow Min Max PRelu Where And Or Equal Greater GreaterOrEqual Less LessOrEqual"
_EACH = (
    "Relu LeakyRelu Elu Sigmoid HardSigmoid HardSwish Clip Tanh Erf Gelu Softplus Exp Log Sqrt Abs Neg Floor "
    "Ceil Round Reciprocal Not Softmax LogSoftmax BatchNormalization InstanceNormalization "
    "LayerNormalization QuantizeLinear DequantizeLinear"
)

OPERATORS: dict[str, Rule] = {
    **dict.fromkeys(_JOINT.split(), _joint),
    **dict.fromkeys(_EACH.split(), _same),
    **dict.fromkeys(("Identity", "Dropout"), _kept),
    **dict.fromkeys(("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin", "ReduceL2"), _reduce),
    **dict.fromkeys(("ArgMax", "ArgMin"), _arg),
    **dict.fromkeys(("MaxPool", "AveragePool"), _pool),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool"), _global_pool),
    "Cast": _cast,
    "Concat": _concat,
    "Constant": _constant,
    "ConstantOfShape": _filled,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "Gemm": _gemm,
    "MatMul": _mat_mul,
    "Pad": _pad,
    "Reshape": _reshape,
    "Resize": _resize,
    "Shape": _shape,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": _tile,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
