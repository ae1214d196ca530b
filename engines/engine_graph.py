"""What an engine's graph has beside the network: frames resized on the GPU, and a map that is packed.

A bundle's detector takes an image in the network's size and returns a float32 map: on a camera's frames the
host resizes each, and 4.2 MB a frame come back. Both are added to the graph when an engine is built, so that
the bundle's file stays what every backend runs:

- in place of the image the whole frame, of one camera size; Resize as OpenCV's INTER_LINEAR has it, rounded
  to whole levels as OpenCV's is (which is off by one level in some pixels: it computes in fixed point).
  TensorRT wants the scales of a Resize as constants, so it is an engine for each camera size.
- in place of the map its levels and its bits (`edge_lpr.pipeline.network_output.PackedMap`), 1.2 MB. TensorRT
  has UINT8 at a network's edges alone, right behind a cast from float, which truncates: levels are rounded
  before.
"""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper

from edge_lpr.errors import ModelError
from edge_lpr.onnx_graph.fold import attribute
from edge_lpr.onnx_graph.graph import OnnxGraph, load_onnx
from edge_lpr.pipeline.network_output import LEVELS, PackedMap
from edge_lpr.types import Size

__all__ = ["pack_map", "take_frames", "with_edges"]

_BITS = 8


def with_edges(
    data: bytes, label: str, output: str, threshold: float | None, frame: tuple[Size, Size] | None
) -> bytes:
    """Adds to a detector what an engine has beside it.

    Args:
        data: The ONNX file.
        label: What error messages call it.
        output: Name of its map.
        threshold: DB's threshold, 0 to 1, that the map is compared with; None leaves the map in float.
        frame: Height and width, in pixels, of a camera's frames, and of the network's input; None takes
            images in the network's size.

    Raises:
        ModelError: The model is not one that this kit exports.
    """
    model = load_onnx(data, label)
    graph = OnnxGraph(model, model.opset_import[0].version)
    try:
        if frame is not None:
            take_frames(graph, *frame)
        if threshold is not None:
            pack_map(graph, output, threshold)
    except ModelError as e:
        raise ModelError(f"{label}: {e}") from e
    made: bytes = graph.to_model(model.graph.name).SerializeToString()
    return made


def take_frames(graph: OnnxGraph, frame: Size, size: Size) -> None:
    """Lets a graph take whole frames in place of resized images, in place.

    Args:
        graph: A graph whose uint8 N×H×W×3 input is cast and turned to planes first.
        frame: The frames' height and width, in pixels.
        size: The height and width that the network is to have, in pixels.

    Raises:
        ModelError: The graph begins otherwise.
    """
    (image,) = graph.inputs
    cast = graph.only_consumer(image.name)
    planes = graph.only_consumer(cast.output[0]) if cast is not None and cast.op_type == "Cast" else None
    if planes is None or planes.op_type != "Transpose" or list(attribute(planes, "perm")) != [0, 3, 1, 2]:
        raise ModelError("its input is not cast and turned to planes at once, as this kit exports it")
    for dim, pixels in zip(image.type.tensor_type.shape.dim[1:3], frame, strict=True):
        dim.Clear()
        dim.dim_value = pixels
    position = next(i for i, node in enumerate(graph.nodes) if node is planes) + 1
    scales = [1.0, 1.0, *(_scale(*sides) for sides in zip(frame, size, strict=True))]
    constant = graph.constant("frame_scales", np.array(scales, np.float32))
    whole = planes.output[0]
    planes.output[0] = graph.fresh(f"{whole}_frame")
    resized = graph.insert(
        position,
        "Resize",
        [planes.output[0], "", constant],
        f"{whole}_resized",
        mode="linear",
        coordinate_transformation_mode="half_pixel",
    )
    graph.nodes.insert(position + 1, helper.make_node("Round", [resized], [whole]))


def _scale(given: int, wanted: int) -> np.float32:
    """The factor for one side whose product, rounded down as Resize does, is the wanted length."""
    scale = np.float32(wanted / given)
    while given * float(scale) < wanted:  # in float32 too: the wanted length is a number of it
        scale = np.nextafter(scale, np.float32(2) * scale)
    return scale


def pack_map(graph: OnnxGraph, output: str, threshold: float) -> None:
    """Lets a graph return its map packed in place of in float, in place.

    Args:
        graph: A graph with a float32 N×H×W output, W a multiple of 8.
        output: The output's name.
        threshold: DB's threshold, 0 to 1.

    Raises:
        ModelError: There is no such output.
    """
    if not any(o.name == output and o.type.tensor_type.elem_type == TensorProto.FLOAT for o in graph.outputs):
        raise ModelError(f"it has no float32 output {output!r}")
    names = PackedMap.of(output, threshold)

    def add(kind: str, inputs: list[str], stem: str, **attributes: int) -> str:
        return graph.insert(len(graph.nodes), kind, inputs, f"{output}_{stem}", **attributes)

    def constant(stem: str, values: object, kind: type[np.generic]) -> str:
        return graph.constant(f"{output}_{stem}", np.array(values, kind))

    scaled = add("Mul", [output, constant("unit", LEVELS, np.float32)], "scaled")
    rounded = add("Round", [scaled], "rounded")
    over = add("Greater", [output, constant("threshold", threshold, np.float32)], "over")
    ones = add("Cast", [over], "ones", to=TensorProto.FLOAT)
    eights = add("Reshape", [ones, constant("eights_shape", [0, 0, -1, _BITS], np.int64)], "eights")
    worth = constant("bit_worth", [1 << i for i in reversed(range(_BITS))], np.float32)
    weighed = add("Mul", [eights, worth], "weighed")
    byte = add("ReduceSum", [weighed, constant("bit_axis", [-1], np.int64)], "bytes", keepdims=0)
    total = constant("pixel_axes", [1, 2], np.int64)
    graph.nodes += [
        helper.make_node("Cast", [rounded], [names.levels], to=TensorProto.UINT8),
        helper.make_node("Cast", [byte], [names.above], to=TensorProto.UINT8),
        helper.make_node("ReduceSum", [output, total], [names.total], keepdims=0),
    ]
    graph.outputs = [
        helper.make_tensor_value_info(names.levels, TensorProto.UINT8, [None] * 3),
        helper.make_tensor_value_info(names.above, TensorProto.UINT8, [None] * 3),
        helper.make_tensor_value_info(names.total, TensorProto.FLOAT, [None]),
    ]
