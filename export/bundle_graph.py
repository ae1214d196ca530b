"""The two ends of a bundle's graphs: uint8 NHWC BGR in, probabilities out, heads cut to a charset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from edge_lpr.architectures.registry import ARCHITECTURES
from edge_lpr.errors import ModelError
from edge_lpr.onnx_graph.branches import fuse_branches
from edge_lpr.onnx_graph.fold import (
    fold_affine,
    fold_batch_norms,
    fold_constants,
    fold_copied_sizes,
    remove_no_ops,
)
from edge_lpr.onnx_graph.fuse import fuse_hard_swish, fuse_layer_norms
from edge_lpr.onnx_graph.graph import OnnxGraph

__all__ = [
    "DET_MEAN",
    "DET_STD",
    "REC_MEAN",
    "REC_STD",
    "cut_head_graph",
    "det_model",
    "head_classes",
    "rec_model",
]

_DET, _REC = ARCHITECTURES["ch_PP-OCRv3_det"], ARCHITECTURES["ch_PP-OCRv3_rec"]

# All of PaddleOCR's detectors and CTC recognizers of text normalise as PP-OCRv3's do.
DET_MEAN = tuple(255 * m for m in _DET.mean)
"""In grey levels, applied to B, G, R as they come: PaddleOCR swaps no channels."""
DET_STD = tuple(255 * s for s in _DET.std)
"""In grey levels, in the same order."""
REC_MEAN = tuple(255 * m for m in _REC.mean)
"""In grey levels."""
REC_STD = tuple(255 * s for s in _REC.std)
"""In grey levels."""


def det_model(
    model: onnx.ModelProto,
    mean: Sequence[float] = DET_MEAN,
    std: Sequence[float] = DET_STD,
    name: str = "det",
) -> onnx.ModelProto:
    """Makes the bundle's detection graph of a converted one.

    Args:
        model: float32 N×3×H×W normalised image to N×1×H×W probability map, opset 17 or older.
        mean: What is subtracted from B, G and R, in grey levels.
        std: What the difference is divided by, in grey levels.
        name: The graph's name.

    Returns:
        A graph that takes `image`, uint8 N×H×W×3 BGR, and gives `prob`, float32 N×H×W in 0 to 1.

    Raises:
        ModelError: It is no detection model.
    """
    graph = simplified(model, (None, None))
    output = _only_output(graph, 4, "detection", "N×1×H×W")
    take_uint8(graph, (None, None), mean, std)
    prob = graph.insert(
        len(graph.nodes), "Squeeze", [output, graph.constant("channel_axis", np.array([1], np.int64))], "prob"
    )
    graph.outputs = [helper.make_tensor_value_info(prob, TensorProto.FLOAT, ["N", "H", "W"])]
    return graph.to_model(name)


def rec_model(
    model: onnx.ModelProto,
    height: int = 48,
    keep: Sequence[int] | None = None,
    mean: Sequence[float] = REC_MEAN,
    std: Sequence[float] = REC_STD,
    name: str = "rec",
) -> onnx.ModelProto:
    """Makes the bundle's recognition graph of a converted one.

    Args:
        model: float32 N×3×height×W normalised crop to N×T×C class probabilities, opset 17 or older.
        height: Height of the input, in pixels.
        keep: Classes to keep, in their new order; all where None. One more class, the last, then holds the
            probability of those that were dropped.
        mean: What is subtracted from B, G and R, in grey levels.
        std: What the difference is divided by, in grey levels.
        name: The graph's name.

    Returns:
        A graph that takes `image`, uint8 N×height×W×3 BGR, and gives `probs`, float32 N×T×C.

    Raises:
        ModelError: It is no CTC recognition model.
    """
    graph = simplified(model, (height, None))
    classes = head_classes(graph)
    output = graph.outputs[0].name
    take_uint8(graph, (height, None), mean, std)
    if keep is not None:
        output, classes = cut_head_graph(graph, output, keep), len(keep) + 1
    graph.rename(output, "probs")
    graph.outputs = [helper.make_tensor_value_info("probs", TensorProto.FLOAT, ["N", "T", classes])]
    return graph.to_model(name)


def simplified(model: onnx.ModelProto, size: tuple[int | None, int | None]) -> OnnxGraph:
    """Takes a model apart and runs all the passes that leave its inputs and outputs alone.

    Args:
        model: A model with one image input, float32 N×3×H×W, in opset 17 or older.
        size: Height and width of the input in pixels; None where free. Knowing one lets more be folded.

    Raises:
        ModelError: The model has another input, or operators that export does not know.
    """
    graph = OnnxGraph(model)
    if len(graph.inputs) != 1:
        names = ", ".join(i.name for i in graph.inputs)
        raise ModelError(f"the model has {len(graph.inputs)} inputs ({names}), expected one image N×3×H×W")
    old = graph.inputs[0]
    dims = [d.dim_value for d in old.type.tensor_type.shape.dim]
    if old.type.tensor_type.elem_type != TensorProto.FLOAT or len(dims) != 4 or dims[1] not in (3, 0, -1):
        raise ModelError(f"the model's input {old.name!r} has shape {dims}, expected float32 N×3×H×W")
    # Converters write -1, or one symbol for all that is free, which shape inference takes for equal sides.
    height, width = size
    graph.inputs = [
        helper.make_tensor_value_info(old.name, TensorProto.FLOAT, ["N", 3, height or "H", width or "W"])
    ]
    graph.outputs = [
        helper.make_tensor_value_info(o.name, o.type.tensor_type.elem_type, None) for o in graph.outputs
    ]
    remove_no_ops(graph)
    fold_constants(graph)
    fold_affine(graph)
    fold_batch_norms(graph)
    fuse_branches(graph)
    fold_affine(graph)
    fuse_hard_swish(graph)
    fuse_layer_norms(graph)
    fold_copied_sizes(graph)
    fold_constants(graph)
    remove_no_ops(graph)
    return graph


def take_uint8(
    graph: OnnxGraph, size: tuple[int | None, int | None], mean: Sequence[float], std: Sequence[float]
) -> None:
    """Puts cast, layout change and normalisation in front of a graph's image input.

    The division moves into the first convolution's weights. The subtraction cannot: that convolution pads
    with zeros *after* normalisation, so a folded shift would be missing along the image's edge. The cast
    comes first because TensorRT allows uint8 at a network's border only.

    Args:
        graph: A graph whose one input is float32 N×3×H×W.
        size: Height and width of the input in pixels; None where free.
        mean: What is subtracted from B, G and R, in grey levels.
        std: What the difference is divided by.
    """
    old = graph.inputs[0]
    readers = graph.consumers(old.name)
    image = graph.fresh("image")
    height, width = size
    graph.inputs = [
        helper.make_tensor_value_info(image, TensorProto.UINT8, ["N", height or "H", width or "W", 3])
    ]
    cast = graph.insert(0, "Cast", [image], "image_float", to=TensorProto.FLOAT)
    planar = graph.insert(1, "Transpose", [cast], "image_planar", perm=[0, 3, 1, 2])
    shift = graph.constant("image_mean", np.asarray(mean, np.float32).reshape(1, 3, 1, 1))
    result = graph.insert(2, "Sub", [planar, shift], "image_centred")
    factor = 1.0 / np.asarray(std, np.float64)
    if all(n.op_type == "Conv" and n.input[1] in graph.constants for n in readers):
        for conv in readers:
            weight = graph.constants[conv.input[1]].astype(np.float64) * factor.reshape(1, 3, 1, 1)
            conv.input[1] = graph.constant(f"{conv.input[1]}_scaled", weight.astype(np.float32))
    else:
        scale = graph.constant("image_scale", factor.astype(np.float32).reshape(1, 3, 1, 1))
        result = graph.insert(3, "Mul", [result, scale], "image_normalised")
    graph.reroute(old.name, result)


def head_classes(graph: OnnxGraph) -> int:
    """Returns the number of classes of a recognition graph, the CTC blank among them.

    Raises:
        ModelError: The graph does not say it, or does not end in a softmax.
    """
    output = _only_output(graph, 3, "recognition", "N×T×C")
    softmax = graph.producer(output)
    if softmax is None or softmax.op_type != "Softmax":
        found = "nothing" if softmax is None else softmax.op_type
        raise ModelError(f"the recognition model ends in {found}, expected the softmax of a CTC head")
    classes = (graph.shapes().get(output) or (None,))[-1]
    if classes is None:
        raise ModelError("the recognition model does not say how many classes its head has")
    return classes


def cut_head_graph(graph: OnnxGraph, probs: str, keep: Sequence[int]) -> str:
    """Cuts a softmax head to some classes; a last class takes what the dropped ones had.

    The full softmax stays, so the kept probabilities are exactly those of the full head. The kept columns
    move to the front of the last linear layer where there is one, for then a Slice does what a Gather would.

    Args:
        graph: A graph whose tensor `probs` is the softmax, N×T×C.
        probs: Name of that tensor.
        keep: Classes to keep, in their new order.

    Returns:
        The name of the new output, float32 N×T×(len(keep) + 1); the last class is the sum of those dropped.

    Raises:
        ModelError: A class is asked for twice, none is, or one that the head does not have.
    """
    classes = graph.shapes()[probs][-1]
    if (
        len(set(keep)) != len(keep)
        or not keep
        or classes is None
        or not 0 <= min(keep) <= max(keep) < classes
    ):
        raise ModelError(f"a head of {classes} classes cannot be cut to the {len(keep)} classes asked for")
    order = [*keep, *sorted(set(range(classes)) - set(keep))]
    end = len(graph.nodes)
    if _permute_columns(graph, probs, np.asarray(order)):
        bounds = [
            graph.constant(f"kept_{n}", np.array([v], np.int64))
            for n, v in (("start", 0), ("end", len(keep)), ("axis", 2))
        ]
        kept = graph.insert(end, "Slice", [probs, *bounds], "kept")
    else:
        indices = graph.constant("kept_classes", np.asarray(keep, np.int64))
        kept = graph.insert(end, "Gather", [probs, indices], "kept", axis=2)
    axis = graph.constant("class_axis", np.array([2], np.int64))
    total = graph.insert(end + 1, "ReduceSum", [kept, axis], "kept_sum", keepdims=1)
    one = graph.constant("one", np.array(1.0, np.float32))
    rest = graph.insert(end + 2, "Sub", [one, total], "rest")
    # Rounding can leave a sum of 1 + 1e-7; a probability is never negative.
    other = graph.insert(end + 3, "Relu", [rest], "other")
    return graph.insert(end + 4, "Concat", [kept, other], "cut", axis=2)


def _permute_columns(graph: OnnxGraph, probs: str, order: NDArray[Any]) -> bool:
    softmax = graph.producer(probs)
    add = graph.producer(softmax.input[0]) if softmax is not None else None
    if add is None or add.op_type != "Add" or graph.only_consumer(add.output[0]) is None:
        return False
    bias = next((n for n in add.input if n in graph.constants), None)
    matmul = graph.producer(next((n for n in add.input if n not in graph.constants), ""))
    if bias is None or matmul is None or matmul.op_type != "MatMul" or matmul.input[1] not in graph.constants:
        return False
    weight = matmul.input[1]
    if graph.only_consumer(matmul.output[0]) is None or graph.constants[weight].ndim != 2:
        return False
    if graph.constants[bias].shape != (len(order),):
        return False
    matmul.input[1] = graph.constant(f"{weight}_ordered", graph.constants[weight][:, order])
    ordered = graph.constant(f"{bias}_ordered", graph.constants[bias][order])
    for i, name in enumerate(add.input):
        if name == bias:
            add.input[i] = ordered
    return True


def _only_output(graph: OnnxGraph, rank: int, kind: str, shape: str) -> str:
    if len(graph.outputs) != 1:
        names = ", ".join(o.name for o in graph.outputs)
        raise ModelError(f"the model has {len(graph.outputs)} outputs ({names}), expected one: {shape}")
    output = graph.outputs[0]
    found = len(graph.shapes().get(output.name, ()))
    if found != rank:
        hint = {3: "; is it a recognition model?", 4: "; is it a detection model?"}.get(found, "")
        raise ModelError(
            f"the output {output.name!r} has {found} axes, a {kind} model's has {rank} ({shape}){hint}"
        )
    return str(output.name)
