"""An estimate of the bytes that a GPU moves for one run of a graph: what its fused layers read and write.

On a GPU, small networks are bound by memory, so bytes rank variants of a graph before any GPU has run them.
The fusions are those that TensorRT documents ("Layer and tensor fusion", "Explicit quantization"):

- a convolution or matrix product takes in what follows element by element, as long as nothing else reads what
  lies between; of a sum, the later product does;
- element-wise layers in a row are one layer;
- a QuantizeLinear goes into what makes its tensor where it is the only reader, else it is a layer of its own;
  a DequantizeLinear goes into its readers;
- reshaping moves nothing, and a Concat's inputs are written into its place.

Weights are left out: they stay in the cache. The figure is an estimate, no measurement.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import onnx
from onnx import shape_inference

__all__ = ["FusedLayer", "traffic"]

_PRODUCTS = frozenset({"Conv", "ConvTranspose", "MatMul", "Gemm"})
_ELEMENTWISE = frozenset(
    {"Add", "Sub", "Mul", "Div", "Relu", "LeakyRelu", "Clip", "Sigmoid", "HardSigmoid", "Tanh", "Erf", "Sqrt"}
    | {"Pow", "Greater", "Cast", "HardSwish", "QuantizeLinear"}
)
_VIEWS = frozenset({"Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity", "DequantizeLinear", "Concat"})
_BYTES = {
    onnx.TensorProto.FLOAT: 4,
    onnx.TensorProto.FLOAT16: 2,
    onnx.TensorProto.INT8: 1,
    onnx.TensorProto.UINT8: 1,
    onnx.TensorProto.BOOL: 1,
    onnx.TensorProto.INT32: 4,
    onnx.TensorProto.INT64: 8,
}


@dataclass(frozen=True)
class FusedLayer:
    """One kernel.

    Attributes:
        nodes: Names of the nodes that it computes.
        read: Bytes of activations that it reads.
        written: Bytes that it writes.
    """

    nodes: tuple[str, ...]
    read: int
    written: int

    @property
    def bytes(self) -> int:
        """Read and written."""
        return self.read + self.written


def traffic(model: onnx.ModelProto, input_shape: Sequence[int]) -> list[FusedLayer]:
    """Estimates what each fused layer of a model moves.

    Args:
        model: The model, nodes named, with one input.
        input_shape: The input's shape.

    Returns:
        The layers, in the order in which they run.
    """
    return list(_Fusion(model, input_shape).layers())


class _Fusion:
    def __init__(self, model: onnx.ModelProto, input_shape: Sequence[int]) -> None:
        self._sizes = _tensor_bytes(model, input_shape)
        self._outputs = {output.name for output in model.graph.output}
        self._nodes = list(model.graph.node)
        self._maker = {name: i for i, node in enumerate(self._nodes) for name in node.output}
        self._readers: dict[str, list[int]] = {}
        for i, node in enumerate(self._nodes):
            for name in dict.fromkeys(node.input):
                self._readers.setdefault(name, []).append(i)
        self._group = list(range(len(self._nodes)))
        self._fuse()

    def layers(self) -> Iterator[FusedLayer]:
        members: dict[int, list[int]] = {}
        for i, node in enumerate(self._nodes):
            if node.op_type not in _VIEWS:
                members.setdefault(self._group[i], []).append(i)
        for inside in members.values():
            own = set(inside)
            read = {s for i in inside for name in self._nodes[i].input for s in self._sources(name)}
            made = [name for i in inside for name in self._nodes[i].output]
            read -= set(made)
            written = [n for n in made if n in self._outputs or any(r not in own for r in self._final(n))]
            yield FusedLayer(
                tuple(self._nodes[i].name for i in inside),
                sum(self._sizes.get(name, 0) for name in read),
                sum(self._sizes.get(name, 0) for name in written),
            )

    def _fuse(self) -> None:
        for i, node in enumerate(self._nodes):
            if node.op_type not in _ELEMENTWISE:
                continue
            # The last of its makers that can take it in: of a sum of two products that is the later one.
            makers = sorted({self._maker[n] for n in node.input if n in self._maker}, reverse=True)
            for maker in makers:
                group = self._group[maker]
                kind = self._nodes[maker].op_type
                if kind in _PRODUCTS | _ELEMENTWISE and self._closed(group, i):
                    self._group[i] = group
                    break

    def _closed(self, group: int, reader: int) -> bool:
        """Tells whether nothing but the group, `reader`, and gates that lead there read what the group makes."""
        inside = {i for i, g in enumerate(self._group) if g == group} | {reader}
        if any(self._nodes[i].op_type == "QuantizeLinear" for i in inside - {reader}):
            return False
        names = [n for i in inside - {reader} for n in self._nodes[i].output]
        if any(name in self._outputs for name in names):
            return False
        later = {r for name in names for r in self._readers.get(name, ())} - inside
        return all(self._is_gate(r, inside, names) for r in later)

    def _is_gate(self, node: int, inside: set[int], names: Sequence[str]) -> bool:
        """Tells whether a node joins the group too: x·σ(x) has two readers of x."""
        if self._nodes[node].op_type not in _ELEMENTWISE - {"QuantizeLinear", "Cast"}:
            return False
        return all(n in names or self._maker.get(n) in inside or n not in self._maker for n in self._nodes[node].input)

    def _sources(self, name: str) -> Iterator[str]:
        """The tensors in memory that a tensor is a view of."""
        maker = self._maker.get(name)
        if maker is None or self._nodes[maker].op_type not in _VIEWS:
            yield name
        else:
            node = self._nodes[maker]
            for given in node.input if node.op_type == "Concat" else node.input[:1]:
                yield from self._sources(given)

    def _final(self, name: str) -> Iterator[int]:
        """The nodes that read a tensor, through views."""
        for reader in self._readers.get(name, ()):
            if self._nodes[reader].op_type not in _VIEWS:
                yield reader
                continue
            for made in self._nodes[reader].output:
                if made in self._outputs:
                    yield -1
                yield from self._final(made)


def _tensor_bytes(model: onnx.ModelProto, input_shape: Sequence[int]) -> dict[str, int]:
    fixed = onnx.ModelProto.FromString(model.SerializeToString())
    del fixed.graph.value_info[:]
    for dim, size in zip(fixed.graph.input[0].type.tensor_type.shape.dim, input_shape, strict=True):
        dim.dim_value = size
    for output in fixed.graph.output:
        output.type.tensor_type.ClearField("shape")
    inferred = shape_inference.infer_shapes(fixed, strict_mode=True, data_prop=True)
    sizes = {}
    for info in (*inferred.graph.value_info, *inferred.graph.input, *inferred.graph.output):
        tensor = info.type.tensor_type
        dims = [d.dim_value for d in tensor.shape.dim]
        sizes[info.name] = math.prod(dims) * _BYTES[tensor.elem_type]
    return sizes
