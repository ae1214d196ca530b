"""Operators over images: what slides a window over them, and what changes their size."""

from __future__ import annotations

import math

from edge_lpr.bundle.onnx_known import Known, Result, Rule, axis_of, integer, integers_of, whole
from edge_lpr.bundle.onnx_reader import Node, Shape

__all__ = ["WINDOWS"]


def _window(node: Node, sides: Shape, kernel: Shape) -> tuple[Shape, Shape, Shape]:
    """Strides, dilations and paddings (of both ends together) of a sliding window."""
    count = len(sides)
    strides = integers_of(node, "strides", (1,) * count, count)
    dilations = integers_of(node, "dilations", (1,) * count, count)
    pads = integers_of(node, "pads", (0,) * 2 * count, 2 * count)
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
        result.append((-(-free // stride) if integer(node, "ceil_mode", 0) else free // stride) + 1)
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
    return whole(shape, math.prod(shape) * inside * math.prod(kernel))


def _conv_transpose(node: Node, known: Known) -> Result:
    number, channels, sides = _images(node, known)
    _, out, *kernel = known.shape(node, 1)
    if len(kernel) != len(sides):
        raise ValueError(f"a window of {kernel} over {sides}")
    strides, dilations, pads = _window(node, sides, tuple(kernel))
    extra = integers_of(node, "output_padding", (0,) * len(sides), len(sides))
    same = node.attributes.get("auto_pad", "NOTSET") in ("SAME_UPPER", "SAME_LOWER")
    result = [
        stride * side if same else stride * (side - 1) + more + dilation * (width - 1) + 1 - pad
        for side, width, stride, dilation, more, pad in zip(
            sides, kernel, strides, dilations, extra, pads, strict=True
        )
    ]
    if "output_shape" in node.attributes:
        result = list(integers_of(node, "output_shape", (), len(sides)))
    if min((*result, *(n + 1 for n in extra))) < 1:
        raise ValueError(f"an output of {result}")
    work = number * channels * math.prod(sides) * out * math.prod(kernel)
    return whole((number, out * integer(node, "group", 1), *result), work)


def _pool(node: Node, known: Known) -> Result:
    number, channels, sides = _images(node, known)
    kernel = integers_of(node, "kernel_shape", (), len(sides))
    shape = (number, channels, *_slid(node, sides, kernel))
    return Result((shape,) * len(node.outputs), math.prod(shape) * math.prod(kernel))


def _global_pool(node: Node, known: Known) -> Result:
    number, channels, sides = _images(node, known)
    return whole((number, channels, *(1 for _ in sides)), math.prod(known.shape(node)))


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
        wanted = tuple(int(shape[axis_of(a, len(shape))] * s) for a, s in zip(axes, scales, strict=True))
    if len(wanted) != len(axes) or min(wanted, default=1) < 1:
        raise ValueError(f"an output of {wanted} along {axes}")
    for axis, side in zip(axes, wanted, strict=True):
        result[axis_of(axis, len(shape))] = side
    return whole(tuple(result), 16 * math.prod(result))


WINDOWS: dict[str, Rule] = {
    **dict.fromkeys(("MaxPool", "AveragePool"), _pool),
    **dict.fromkeys(("GlobalAveragePool", "GlobalMaxPool"), _global_pool),
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Resize": _resize,
}
