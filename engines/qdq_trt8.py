"""What TensorRT 8.6 wants otherwise of an INT8 ONNX: opset 17, FP32 scales, and its weights in float.

The bundle's INT8 models are typed: their float part is FP16, in opset 19, whose Q and DQ take FP16. 8.6
reads opset 17, where a scale is FP32, and its networks are not strongly typed: which layers run in FP16 is
its own choice where the builder's flag allows it. So the float part is written in FP32, scales and casts too,
and what the model keeps in FP32 is named, for the builder to ask for.

From version 10 on TensorRT takes weights as INT8 constants ("Explicit Quantization" in its developer guide).
8.4 refuses them (NVIDIA/TensorRT issue 2163), later 8.x reads them; what all of 8 is made for is a float
weight, QuantizeLinear, DequantizeLinear. Its INT8 deconvolutions know no scales that differ between output
channels, and compute wrong values where they are given some (issues 1694 and 2380): bundles of older versions
have such ones. The rewriting happens in memory and keeps the arithmetic: each weight is rounded back to the
very integer that it comes from.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edge_lpr.errors import MissingExtraError

if TYPE_CHECKING:
    import onnx

__all__ = ["rewrite_for_trt8"]

_OPSET, _IR_VERSION = 17, 8
# Operators that an opset between 17 and that of the models changed for models of this kind (others were given
# more types alone): none that this kit writes has what is new in them.
_NEW_ATTRIBUTES = {"QuantizeLinear": {"saturate"}, "Cast": {"saturate"}, "AveragePool": {"dilations"}}


def rewrite_for_trt8(data: bytes) -> tuple[bytes, tuple[str, ...] | None]:
    """Rewrites an INT8 model as TensorRT 8.6 wants it.

    Args:
        data: The ONNX file.

    Returns:
        The model, all of its float part in FP32, with float weights before QuantizeLinear; and the names of
        the nodes that compute in FP32 in the file, which FP16 would not do for: None where all of it is FP32.

    Raises:
        MissingExtraError: The package onnx is not installed.
    """
    try:
        import onnx
    except ImportError as e:
        raise MissingExtraError("onnx", "tensorrt", "An INT8 engine of TensorRT 8.6") from e
    model: onnx.ModelProto = onnx.load_from_string(data)
    rewriting = _Rewriting(model)
    kept = rewriting.float_nodes()
    rewriting.run()
    rewritten: bytes = model.SerializeToString()
    return rewritten, kept


class _Rewriting:
    """One pass over a model, in place."""

    def __init__(self, model: onnx.ModelProto) -> None:
        from onnx import TensorProto, numpy_helper, shape_inference

        self._arrays = numpy_helper
        self._half, self._full = TensorProto.FLOAT16, TensorProto.FLOAT
        self._model = model
        self._graph = model.graph
        self._stored = {item.name: item for item in self._graph.initializer}
        graph = shape_inference.infer_shapes(model).graph
        self._kinds = {i.name: i.type.tensor_type.elem_type for i in (*graph.value_info, *graph.output)}
        # What a transposed convolution's output is multiplied with, by its weight's name.
        self._factors: dict[str, NDArray[np.float32]] = {}

    def float_nodes(self) -> tuple[str, ...] | None:
        """The nodes that make FP32 in a model that has FP16 too: what was seen to overflow, and its like."""
        if self._half not in self._kinds.values():
            return None
        return tuple(
            node.name
            for node in self._graph.node
            if node.op_type != "Cast" and all(self._kinds.get(name) == self._full for name in node.output)
        )

    def run(self) -> None:
        nodes: list[onnx.NodeProto] = []
        aliases: dict[str, str] = {}
        outputs = {output.name for output in self._graph.output}
        for node in self._graph.node:
            casts = self._casts_float(node)
            node.input[:] = [aliases.get(name, name) for name in node.input]
            if casts and node.output[0] not in outputs:
                aliases[node.output[0]] = node.input[0]
                continue
            if node.op_type == "DequantizeLinear" and node.input[0] in self._stored:
                nodes.append(self._quantize(node))
            for new in [a for a in node.attribute if a.name in _NEW_ATTRIBUTES.get(node.op_type, ())]:
                node.attribute.remove(new)
            nodes.append(node)
            if node.op_type == "ConvTranspose" and node.input[1] in self._factors:
                nodes.append(self._rescale(node))
        del self._graph.node[:], self._graph.value_info[:]
        self._graph.node.extend(nodes)
        used = {name for node in nodes for name in node.input}
        kept = [self._in_float(item) for item in self._graph.initializer if item.name in used]
        del self._graph.initializer[:], self._model.opset_import[:]
        self._graph.initializer.extend(kept)
        opset = self._model.opset_import.add()
        opset.version = _OPSET
        self._model.ir_version = _IR_VERSION

    def _casts_float(self, node: onnx.NodeProto) -> bool:
        """Tells whether a node casts between FP16 and FP32; makes a cast of something else one to FP32."""
        if node.op_type != "Cast":
            return False
        (kind,) = [a for a in node.attribute if a.name == "to"]
        if kind.i not in (self._half, self._full):
            return False
        kind.i = self._full
        return self._kinds.get(node.input[0]) in (self._half, self._full)

    def _quantize(self, node: onnx.NodeProto) -> onnx.NodeProto:
        """Gives a DequantizeLinear of a constant a QuantizeLinear to read from."""
        from onnx import helper

        weight = node.output[0]
        levels, scale = self._value(node.input[0]), self._value(node.input[1]).astype(np.float32)
        readers = {reader.op_type for reader in self._graph.node if weight in reader.input}
        if scale.size > 1 and readers == {"ConvTranspose"}:
            self._factors[weight] = np.asarray(scale / scale.max(), np.float32)
            scale = np.asarray(scale.max(), np.float32)
            del node.attribute[:]
            node.input[1] = self._constant(f"{weight}_scale", scale)
            node.input[2] = self._constant(f"{weight}_zero_point", np.zeros((), np.int8))
        shape = [1] * levels.ndim
        if scale.size > 1:
            shape[_attribute(node, "axis")] = -1
        floats = self._constant(f"{weight}_float", np.asarray(levels * scale.reshape(shape), np.float32))
        made = helper.make_node(
            "QuantizeLinear", [floats, *node.input[1:]], [f"{weight}_rounded"], f"{node.name}_quantize"
        )
        made.attribute.extend(node.attribute)
        node.input[0] = made.output[0]
        return made

    def _rescale(self, node: onnx.NodeProto) -> onnx.NodeProto:
        """Puts the factors behind a transposed convolution: W·x + b is f·(W/f·x + b/f)."""
        from onnx import helper

        factor = np.tile(self._factors[node.input[1]], _attribute(node, "group"))
        output = node.output[0]
        if len(node.input) > 2:
            node.input[2] = self._constant(f"{output}_bias", self._value(node.input[2]) / factor)
        node.output[0] = f"{output}_unscaled"
        factors = self._constant(f"{output}_factor", factor.reshape(1, -1, 1, 1))
        return helper.make_node("Mul", [node.output[0], factors], [output], f"{node.name}_rescale")

    def _in_float(self, item: onnx.TensorProto) -> onnx.TensorProto:
        if item.data_type != self._half:
            return item
        return self._arrays.from_array(self._value(item.name).astype(np.float32), item.name)

    def _value(self, name: str) -> NDArray[Any]:
        return np.asarray(self._arrays.to_array(self._stored[name]))

    def _constant(self, name: str, value: NDArray[Any]) -> str:
        kind = np.int8 if value.dtype == np.int8 else np.float32
        item = self._arrays.from_array(np.array(value, kind, order="C"), name)
        self._graph.initializer.append(item)
        self._stored[name] = item
        return name


def _attribute(node: onnx.NodeProto, name: str) -> int:
    """Returns an attribute whose default is 1, as those of axis and group are."""
    return next((a.i for a in node.attribute if a.name == name), 1)
