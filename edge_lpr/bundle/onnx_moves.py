"""Operators that compute nothing: they turn, cut, join and repeat what there is."""

from __future__ import annotations

import math

from edge_lpr.bundle.onnx_known import (
    Known,
    Result,
    Rule,
    Values,
    axis_of,
    broadcast,
    integer,
    integers_of,
    whole,
    without,
)
from edge_lpr.bundle.onnx_reader import Node

__all__ = ["MOVES"]


def _transpose(node: Node, known: Known) -> Result:
    shape = known.shape(node)
    order = integers_of(node, "perm", tuple(range(len(shape)))[::-1], len(shape))
    if sorted(order) != list(range(len(shape))):
        raise ValueError(f"its perm is {order}")
    return whole(tuple(shape[i] for i in order))


def _reshape(node: Node, known: Known) -> Result:
    shape = known.shape(node)
    wanted = list(known.integers(node, 1, "shape") or ())
    if not integer(node, "allowzero", 0):
        wanted = [shape[i] if side == 0 and i < len(shape) else side for i, side in enumerate(wanted)]
    size, rest = math.prod(shape), math.prod(side for side in wanted if side != -1)
    if wanted.count(-1) == 1 and rest > 0 and size % rest == 0:
        wanted[wanted.index(-1)] = size // rest
    if min(wanted, default=0) < 0 or math.prod(wanted) != size:
        raise ValueError(f"shape {shape} does not fit into {wanted}")
    return Result((tuple(wanted),), 0, known.values.get(node.inputs[0]))


def _flatten(node: Node, known: Known) -> Result:
    shape = known.shape(node)
    axis = integer(node, "axis", 1)
    axis = axis if axis == len(shape) else axis_of(axis, len(shape))
    return Result(((math.prod(shape[:axis]), math.prod(shape[axis:])),), 0)


def _squeeze(node: Node, known: Known) -> Result:
    shape = known.shape(node)
    axes = known.integers(node, 1, "axes")
    if axes is None:
        axes = tuple(i for i, side in enumerate(shape) if side == 1)
    if any(shape[axis_of(axis, len(shape))] != 1 for axis in axes):
        raise ValueError(f"axes {axes} of {shape} are not all 1")
    return Result((without(shape, axes, keep=False),), 0, known.values.get(node.inputs[0]))


def _unsqueeze(node: Node, known: Known) -> Result:
    shape = list(known.shape(node))
    axes = known.integers(node, 1, "axes") or ()
    rank = len(shape) + len(axes)
    for axis in sorted(axis_of(axis, rank) for axis in axes):
        shape.insert(axis, 1)
    return Result((tuple(shape),), 0, known.values.get(node.inputs[0]))


def _concat(node: Node, known: Known) -> Result:
    shapes = [known.shape(node, i) for i in range(len(node.inputs))]
    axis = axis_of(integer(node, "axis", 0), len(shapes[0]))
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
        at = axis_of(axis, len(shape))
        cut = slice(start, None if step < 0 and end < -shape[at] else end, step)
        result[at] = len(range(shape[at])[cut])
        values = values[cut] if values is not None and len(shape) == 1 else None
    return Result((tuple(result),), math.prod(result), values)


def _split(node: Node, known: Known) -> Result:
    shape = known.shape(node)
    axis = axis_of(integer(node, "axis", 0), len(shape))
    count, side = len(node.outputs), shape[axis]
    size = -(-side // count)
    even = tuple(min(size, max(0, side - size * i)) for i in range(count))
    sizes = known.integers(node, 1, "split") or even
    if len(sizes) != count or sum(sizes) != side or min(sizes) < 0:
        raise ValueError(f"{side} split into {sizes}")
    return Result(tuple((*shape[:axis], n, *shape[axis + 1 :]) for n in sizes), math.prod(shape))


def _gather(node: Node, known: Known) -> Result:
    shape, indices = known.shape(node), known.shape(node, 1)
    axis = axis_of(integer(node, "axis", 0), len(shape))
    result = (*shape[:axis], *indices, *shape[axis + 1 :])
    source, chosen = known.values.get(node.inputs[0]), known.values.get(node.inputs[1])
    values: Values | None = None
    if source is not None and chosen is not None and len(shape) == 1:
        values = tuple(source[axis_of(int(i), len(source))] for i in chosen)
    return Result((result,), math.prod(result), values)


def _shape(node: Node, known: Known) -> Result:
    shape = known.shape(node)
    found = shape[integer(node, "start", 0) : integer(node, "end", len(shape))]
    return Result(((len(found),),), 0, found)


def _pad(node: Node, known: Known) -> Result:
    shape = known.shape(node)
    pads = known.integers(node, 1, "pads") or ()
    axes = known.integers(node, 3) or tuple(range(len(shape)))
    if len(pads) != 2 * len(axes):
        raise ValueError(f"its pads are {pads}")
    result = list(shape)
    for i, axis in enumerate(axes):
        result[axis_of(axis, len(shape))] += pads[i] + pads[i + len(axes)]
    if min(result, default=0) < 0:
        raise ValueError(f"an output of {result}")
    return whole(tuple(result))


def _depth_to_space(node: Node, known: Known) -> Result:
    number, depth, height, width = known.shape(node)
    side = integer(node, "blocksize", 0)
    if side < 1 or depth % side**2:
        raise ValueError(f"{depth} channels in blocks of {side}")
    return whole((number, depth // side**2, height * side, width * side))


def _expand(node: Node, known: Known) -> Result:
    wanted = known.integers(node, 1) or ()
    return whole(broadcast([known.shape(node), wanted]))


def _tile(node: Node, known: Known) -> Result:
    shape, repeats = known.shape(node), known.integers(node, 1) or ()
    if len(repeats) != len(shape):
        raise ValueError(f"it repeats {shape} by {repeats}")
    return whole(tuple(side * times for side, times in zip(shape, repeats, strict=True)))


def _filled(node: Node, known: Known) -> Result:
    return whole(known.integers(node, 0) or ())


MOVES: dict[str, Rule] = {
    "Concat": _concat,
    "ConstantOfShape": _filled,
    "DepthToSpace": _depth_to_space,
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "Pad": _pad,
    "Reshape": _reshape,
    "Shape": _shape,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": _tile,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
