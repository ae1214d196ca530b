"""Paddle's internal names in ONNX models of Paddle 3: those that are missing there, found by place.

Paddle 3's converter keeps the names of weights, but biases, transposed convolutions and layer norms come as
constants with names of its own, and both kinds of factors and shifts of whole maps have one name. What a
constant is, is seen by the operator that reads it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator

import onnx

__all__ = ["with_paddle_names"]

_CONV = re.compile(r"(conv2d_\d+)\.w_0")
_AFFINE = re.compile(r"learnable_affine_block_(\d+)\.w_0")
_AFFINE_KINDS = {True: "whswish_b", False: "mobile_one_block"}


def with_paddle_names(model: onnx.ModelProto) -> onnx.ModelProto:
    """Returns a model whose constants have the internal names that Paddle 2's converter keeps.

    Args:
        model: A model of a network of PaddleOCR; it is left as it is. One that has the names comes out equal.
    """
    named = onnx.ModelProto()
    named.CopyFrom(model)
    names = dict(_Places(named.graph).names())
    for node in named.graph.node:
        for i, name in enumerate(node.input):
            node.input[i] = names.get(name, name)
    for tensor in named.graph.initializer:
        tensor.name = names.get(tensor.name, tensor.name)
    return named


class _Places:
    def __init__(self, graph: onnx.GraphProto) -> None:
        self.nodes = graph.node
        self.sizes = {t.name: tuple(t.dims) for t in graph.initializer}
        self.made = {name: node for node in graph.node for name in node.output}
        self.read: dict[str, list[onnx.NodeProto]] = defaultdict(list)
        for node in graph.node:
            for name in node.input:
                self.read[name].append(node)

    def names(self) -> Iterator[tuple[str, str]]:
        """Yields a constant's name and the one that it has in Paddle."""
        transposed = norms = 0
        for node in self.nodes:
            weight, norm = node.input[1] if len(node.input) > 1 else "", f"layer_norm_{norms}"
            if node.op_type == "Conv" and (match := _CONV.fullmatch(weight)):
                yield from self._next(node, "Add", f"{match[1]}.b_0")
            elif node.op_type == "ConvTranspose" and weight in self.sizes:
                yield weight, f"conv2d_transpose_{transposed}.w_0"
                yield from self._next(node, "Add", f"conv2d_transpose_{transposed}.b_0")
                transposed += 1
            elif node.op_type == "Div" and (scale := list(self._next(node, "Mul", f"{norm}.w_0"))):
                yield from scale
                yield from self._next(self._follower(node, "Mul"), "Add", f"{norm}.b_0")
                norms += 1
            elif node.op_type == "Mul" and (found := list(filter(None, map(_AFFINE.fullmatch, node.input)))):
                number = found[0][1]
                activated = any(self._maker(name) == "HardSwish" for name in node.input)
                for slot in ("w_0", "w_1"):
                    there = f"learnable_affine_block_{number}.{slot}"
                    yield there, f"{_AFFINE_KINDS[activated]}_{number}.{slot}"

    def _maker(self, name: str) -> str:
        node = self.made.get(name)
        while node is not None and node.op_type == "Identity":
            node = self.made.get(node.input[0])
        return "" if node is None else node.op_type

    def _follower(self, node: onnx.NodeProto | None, kind: str) -> onnx.NodeProto | None:
        """The one operator that reads what another returns, if it is of a kind."""
        while node is not None:
            readers = self.read[node.output[0]]
            node = readers[0] if len(readers) == 1 else None
            if node is not None and node.op_type != "Identity":
                return node if node.op_type == kind else None
        return None

    def _next(self, node: onnx.NodeProto | None, kind: str, name: str) -> Iterator[tuple[str, str]]:
        """Names the constant, a value a channel, that the following operator reads."""
        follower = self._follower(node, kind)
        for given in () if follower is None else follower.input:
            size = self.sizes.get(given, ())
            if (len(size) == 1 and size[0] > 1) or (len(size) == 4 and max(size[0], *size[2:]) == 1):
                yield given, name
