"""An estimate of the bytes that a GPU moves for one run of a graph: what its fused layers read and write.

Small networks on a GPU are bound by memory, so bytes rank the variants of a graph before any GPU has run
them. The fusions are those that TensorRT's developer guide names ("Layer fusion", "Explicit quantization"):

- a convolution or matrix product takes in what follows element by element, where nothing else reads what lies
  between; of a sum, the product that runs last does;
- element-wise layers in a row are one layer;
- a QuantizeLinear goes into what makes its tensor where it is the only reader, else it is a layer of its own;
  a DequantizeLinear goes into its readers;
- reshaping moves nothing, and a Concat's inputs are written into its place.

How much of it a version does is not documented: a product may or may not take in an activation that reads its
output twice (x·σ(x)), and the sum behind it. So there are two estimates, with most of it and with least.
Weights are left out: they are small and stay in the cache. An estimate is no measurement.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import onnx
from onnx import helper, shape_inference

__all__ = ["FusedLayer", "moved_bytes", "traffic"]

_PRODUCTS = frozenset({"Conv", "ConvTranspose", "MatMul", "Gemm"})
_ACTIVATIONS = frozenset({"Relu", "LeakyRelu", "Clip", "Sigmoid", "HardSigmoid", "Tanh", "HardSwish"})
_ELEMENTWISE = _ACTIVATIONS | {
    "Add", "Sub", "Mul", "Div", "Erf", "Sqrt", "Pow", "Greater", "Cast", "QuantizeLinear",
}  # fmt: skip
_VIEWS = frozenset({"Reshape", "Squeeze", "Unsqueeze", "Flatten", "Identity", "DequantizeLinear"})


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


def traffic(model: onnx.ModelProto, input_shape: Sequence[int], *, most: bool = True) -> list[FusedLayer]:
    """Estimates what each fused layer of a model moves.

    Args:
        model: The model, nodes named, with one input.
        input_shape: The input's shape.
        most: Whether all is fused that may be; else a product takes in no activation that reads its output
            twice, no sum of a float tensor, and a Concat is a copy.

    Returns:
        The layers, in the order in which they run.
    """
    return list(_Fusion(model, input_shape, most).layers())


def moved_bytes(model: onnx.ModelProto, input_shape: Sequence[int]) -> tuple[int, int]:
    """Returns the bytes of one run, with most and with least fused; see `traffic`."""
    both = (traffic(model, input_shape, most=most) for most in (True, False))
    most, least = (sum(layer.read + layer.written for layer in layers) for layers in both)
    return most, least


class _Fusion:
    def __init__(self, model: onnx.ModelProto, input_shape: Sequence[int], most: bool) -> None:
        self._most = most
        self._views = _VIEWS | {"Concat"} if most else _VIEWS
        self._sizes, self._elements = _tensors(model, input_shape)
        self._outputs = {output.name for output in model.graph.output}
        self._nodes = list(model.graph.node)
        self._maker = {name: i for i, node in enumerate(self._nodes) for name in node.output}
        self._readers: dict[str, list[int]] = {}
        for i, node in enumerate(self._nodes):
            for name in dict.fromkeys(node.input):
                self._readers.setdefault(name, []).append(i)
        # The kernel of each node, by the number of its first one.
        self._kernel = list(range(len(self._nodes)))
        self._fuse()

    def layers(self) -> Iterator[FusedLayer]:
        members: dict[int, list[int]] = {}
        for i, node in enumerate(self._nodes):
            if node.op_type not in self._views:
                members.setdefault(self._kernel[i], []).append(i)
        for inside in members.values():
            made = [name for i in inside for name in self._nodes[i].output]
            read = {s for i in inside for name in self._nodes[i].input for s in self._sources(name)} - set(
                made
            )
            written = [name for name in made if any(r not in inside for r in self._final(name))]
            yield FusedLayer(
                tuple(self._nodes[i].name for i in inside),
                sum(self._sizes.get(name, 0) for name in read),
                sum(self._sizes[name] for name in written),
            )

    def _fuse(self) -> None:
        for i, node in enumerate(self._nodes):
            if node.op_type not in _ELEMENTWISE:
                continue
            makers = {self._maker[name] for name in node.input if name in self._maker}
            # Products before others, and of two the one that runs last.
            for maker in sorted(makers, key=lambda m: (self._has_product(m), m), reverse=True):
                if self._takes_in(self._kernel[maker], i):
                    self._kernel[i] = self._kernel[maker]
                    break

    def _has_product(self, node: int) -> bool:
        return self._nodes[self._kernel[node]].op_type in _PRODUCTS

    def _takes_in(self, kernel: int, reader: int) -> bool:
        inside = [i for i, k in enumerate(self._kernel) if k == kernel]
        kinds = {self._nodes[i].op_type for i in inside}
        made = [name for i in inside for name in self._nodes[i].output]
        if not kinds <= _PRODUCTS | _ELEMENTWISE or "QuantizeLinear" in kinds:
            return False
        # A kernel runs over what it makes: a larger tensor is another one's.
        if self._elements[self._nodes[reader].output[0]] > max(self._elements[name] for name in made):
            return False
        others = {r for name in made for r in self._readers.get(name, ())} - {*inside, reader}
        if self._outputs.intersection(made) or not all(self._joins(r, made) for r in others):
            return False
        return self._most or not kinds & _PRODUCTS or self._always_fuses(reader, bool(others), made)

    def _joins(self, node: int, made: Sequence[str]) -> bool:
        """Tells whether another reader comes into the kernel too: x·σ(x) reads x twice."""
        kind = self._nodes[node].op_type
        return kind in _ELEMENTWISE - {"QuantizeLinear", "Cast"} and all(
            name in made or name not in self._maker or self._leads_from(name, made)
            for name in self._nodes[node].input
        )

    def _leads_from(self, name: str, made: Sequence[str]) -> bool:
        maker = self._nodes[self._maker[name]]
        return maker.op_type in _ACTIVATIONS and maker.input[0] in made

    def _always_fuses(self, reader: int, read_twice: bool, made: Sequence[str]) -> bool:
        node = self._nodes[reader]
        others = [name for name in node.input if name in self._maker and name not in made]
        quantized = all(self._nodes[self._maker[n]].op_type == "DequantizeLinear" for n in others)
        return not read_twice and quantized

    def _sources(self, name: str) -> Iterator[str]:
        """The tensors in memory that a tensor is a view of."""
        maker = self._maker.get(name)
        if maker is None or self._nodes[maker].op_type not in self._views:
            yield name
            return
        node = self._nodes[maker]
        for given in node.input if node.op_type == "Concat" else node.input[:1]:
            yield from self._sources(given)

    def _final(self, name: str) -> Iterator[int]:
        """The nodes that read a tensor, through views; -1 is whoever takes the graph's outputs."""
        if name in self._outputs:
            yield -1
        for reader in self._readers.get(name, ()):
            if self._nodes[reader].op_type not in self._views:
                yield reader
                continue
            for made in self._nodes[reader].output:
                yield from self._final(made)


def _tensors(model: onnx.ModelProto, input_shape: Sequence[int]) -> tuple[dict[str, int], dict[str, int]]:
    """Returns the bytes and the elements of each activation."""
    fixed = onnx.ModelProto.FromString(model.SerializeToString())
    del fixed.graph.value_info[:]
    for dim, size in zip(fixed.graph.input[0].type.tensor_type.shape.dim, input_shape, strict=True):
        dim.dim_value = size
    for output in fixed.graph.output:
        output.type.tensor_type.ClearField("shape")
    inferred = shape_inference.infer_shapes(fixed, strict_mode=True, data_prop=True).graph
    sizes, elements = {}, {}
    for info in (*inferred.value_info, *inferred.input, *inferred.output):
        tensor = info.type.tensor_type
        elements[info.name] = math.prod(dim.dim_value for dim in tensor.shape.dim)
        sizes[info.name] = elements[info.name] * helper.tensor_dtype_to_np_dtype(tensor.elem_type).itemsize
    return sizes, elements
