"""An ONNX file as `onnx_check` looks at it: operators, attributes, the shapes of constants; no weights.

Read without the package onnx, which the runtime does not have; the numbers of the fields are those of
`onnx.proto`. What an ONNX file may have and no model of a bundle needs is refused here: functions, graphs
inside of operators, weights in other files.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from edge_lpr.io.protobuf import BYTES, FIXED32, VARINT, Budget, Value, fields, signed, varints

__all__ = ["Node", "OnnxModel", "Shape", "Tensor", "read_onnx"]

Shape = tuple[int, ...]
MAX_NODES = 20_000
_MAX_RANK = 8
_MAX_VALUES = 64  # constants of so few elements may be axes, scales or a shape
_MAX_NAME = 1000
_MAX_LIST = 4096  # bytes of an attribute's numbers
_MAX_FIELDS = 100_000  # PP-OCRv4's recognition has 9,000
_FLOAT, _INT32, _INT64 = 1, 6, 7
_STORED = {_FLOAT: (4, "<{}f"), _INT32: (5, "<{}i"), _INT64: (7, "<{}q")}
"""Types whose values are of interest: their field where there is no `raw_data`, and their format in that."""
_STORED_WIRES = {4: (BYTES, FIXED32), 5: (BYTES, VARINT), 7: (BYTES, VARINT)}
# The fields of an attribute's value: float, integer, text, tensor, floats, integers.
_ATTRIBUTE_WIRES = {
    2: (FIXED32,),
    3: (VARINT,),
    4: (BYTES,),
    5: (BYTES,),
    7: (BYTES, FIXED32),
    8: (BYTES, VARINT),
}


@dataclass(frozen=True)
class Tensor:
    """A constant.

    Attributes:
        shape: Its shape.
        values: Its elements in a row where they are few, and numbers of 32 or 64 bits; else None.
    """

    shape: Shape
    values: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Node:
    """An operator.

    Attributes:
        op: Its type, "Conv".
        name: Its name; may be empty.
        inputs: Names of its inputs; an empty one is left out.
        outputs: Names of its outputs.
        attributes: Numbers, texts, tuples of numbers, and `Tensor`s, by name.
    """

    op: str
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]


@dataclass
class OnnxModel:
    """A model.

    Attributes:
        domains: Domains of its operators beside ONNX's own.
        nodes: The operators in their order.
        constants: The constants by name.
        inputs: The inputs that are no constants, with their shapes; -1 where a side is free.
        outputs: Names of the outputs.
        output_shapes: Their shapes, as far as the file says; -1 where a side is free.
    """

    domains: set[str] = field(default_factory=set)
    nodes: list[Node] = field(default_factory=list)
    constants: dict[str, Tensor] = field(default_factory=dict)
    inputs: dict[str, Shape] = field(default_factory=dict)
    outputs: list[str] = field(default_factory=list)
    output_shapes: dict[str, Shape] = field(default_factory=dict)


def read_onnx(data: bytes) -> OnnxModel:
    """Reads an ONNX file.

    Raises:
        ValueError: It is none, damaged, or has what no model of a bundle needs; says what.
    """
    # ONNX Runtime tells its own format by this mark, whatever else the bytes may be.
    if data[4:8] == b"ORTM":
        raise ValueError("not ONNX, but ONNX Runtime's own format")
    return _Reader().model(data)


class _Reader:
    def __init__(self) -> None:
        self._budget = Budget(_MAX_FIELDS)

    def model(self, data: bytes) -> OnnxModel:
        graph: list[memoryview] = []
        for number, value in self._messages(data):
            if number == 7:
                graph.append(value)
            elif number in (20, 25):
                raise ValueError("it has functions or training steps of its own")
        if not graph:
            raise ValueError("no graph in it")
        return self._graph(_joined(graph))

    def _graph(self, graph: memoryview) -> OnnxModel:
        model = OnnxModel()
        declared: dict[str, Shape] = {}
        for number, value in self._messages(graph):
            if number == 1:
                if len(model.nodes) == MAX_NODES:
                    raise ValueError(f"more than {MAX_NODES} operators")
                node, domain = self._node(value)
                model.nodes.append(node)
                if domain not in ("", "ai.onnx"):
                    model.domains.add(domain)
            elif number == 5:
                name, tensor = self._tensor(value)
                if name in model.constants:
                    raise ValueError(f"the constant {name!r} stands there twice")
                model.constants[name] = tensor
            elif number == 11:
                name, shape = self._value_info(value)
                declared[name] = shape
            elif number == 12:
                name, shape = self._value_info(value)
                model.outputs.append(name)
                model.output_shapes[name] = shape
            elif number == 15:
                raise ValueError("it has sparse constants")
        model.inputs = {name: shape for name, shape in declared.items() if name not in model.constants}
        return model

    def _node(self, message: memoryview) -> tuple[Node, str]:
        inputs, outputs, attributes = [], [], {}
        texts = {3: "", 4: "", 7: ""}
        for number, value in self._messages(message):
            if number == 1:
                inputs.append(_text(value))
            elif number == 2:
                outputs.append(_text(value))
            elif number == 5:
                name, given = self._attribute(value)
                attributes[name] = given
            elif number in texts:
                texts[number] = _text(value)
        return Node(texts[4], texts[3], tuple(inputs), tuple(outputs), attributes), texts[7]

    def _attribute(self, message: memoryview) -> tuple[str, Any]:
        name, kind = "", 0
        found: dict[int, list[Value]] = {}
        for number, wire, value in fields(message, self._budget):
            if number == 1 and isinstance(value, memoryview):
                name = _text(value)
            elif number == 20 and isinstance(value, int):
                kind = value
            elif wire in _ATTRIBUTE_WIRES.get(number, ()):
                found.setdefault(number, []).append(value)
        # The type says which of the values counts, where there are several.
        if kind == 4:
            return name, self._tensor(_joined([v for v in found.get(5, []) if isinstance(v, memoryview)]))[1]
        if kind in (6, 7):
            read = _floats if kind == 6 else varints
            return name, tuple(n for value in found.get(kind + 1, []) for n in read(_short(value)))
        if kind in (1, 2, 3):
            value = found.get(kind + 1, [0 if kind < 3 else memoryview(b"")])[-1]
            if isinstance(value, memoryview):
                return name, _text(value)
            return name, _float(value) if kind == 1 else signed(value)
        if kind == 8:  # texts: none of the operators looks at one
            return name, ()
        raise ValueError(f"the attribute {name!r} is a graph, a type or several tensors")

    def _tensor(self, message: memoryview) -> tuple[str, Tensor]:
        name, dims, kind = "", list[int](), 0
        raw: memoryview | None = None
        stored: dict[int, list[Value]] = {}
        for number, wire, value in fields(message, self._budget):
            if number == 1 and wire in (VARINT, BYTES) and len(dims) <= _MAX_RANK:
                dims += varints(_short(value))
            elif number == 2 and isinstance(value, int):
                kind = value
            elif number == 8 and isinstance(value, memoryview):
                name = _text(value)
            elif number == 9 and isinstance(value, memoryview):
                raw = value
            elif wire in _STORED_WIRES.get(number, ()):
                stored.setdefault(number, []).append(value)
            elif number == 13 or (number == 14 and value != 0):
                raise ValueError(f"the constant {name!r} lies in another file")
        if len(dims) > _MAX_RANK or any(n < 0 for n in dims):
            raise ValueError(f"the constant {name!r} has the shape {dims[: _MAX_RANK + 1]}")
        size = math.prod(dims)
        if size > 2 * len(message):  # two of the smallest type to a byte
            raise ValueError(f"the constant {name!r} of {size} elements has {len(message)} bytes")
        few = kind in _STORED and size <= _MAX_VALUES
        return name, Tensor(tuple(dims), _values(kind, size, raw, stored) if few else None)

    def _value_info(self, message: memoryview) -> tuple[str, Shape]:
        name, shape = "", list[int]()
        for number, value in self._messages(message):
            if number == 1:
                name = _text(value)
            elif number == 2:
                for tensor in self._inner(value, 1):
                    for described in self._inner(tensor, 2):
                        shape += [self._side(dimension) for dimension in self._inner(described, 1)]
        return name, tuple(shape)

    def _side(self, dimension: memoryview) -> int:
        """A fixed side, or -1."""
        found = [v for number, _, v in fields(dimension, self._budget) if number == 1 and isinstance(v, int)]
        return signed(found[-1]) if found and signed(found[-1]) > 0 else -1

    def _inner(self, message: memoryview, wanted: int) -> Iterator[memoryview]:
        return (value for number, value in self._messages(message) if number == wanted)

    def _messages(self, message: bytes | memoryview) -> Iterator[tuple[int, memoryview]]:
        """Gives the fields that are messages or texts."""
        for number, _, value in fields(message, self._budget):
            if isinstance(value, memoryview):
                yield number, value


def _joined(messages: Sequence[memoryview]) -> memoryview:
    # Protobuf joins what stands there several times of a field that is to be there once.
    return messages[0] if len(messages) == 1 else memoryview(b"".join(messages))


def _values(
    kind: int, size: int, raw: memoryview | None, stored: dict[int, list[Value]]
) -> tuple[float, ...] | None:
    number, form = _STORED[kind]
    if raw is not None:
        form = form.format(size)
        return struct.unpack(form, raw) if struct.calcsize(form) == len(raw) else None
    read = _floats if kind == _FLOAT else varints
    values = tuple(v for value in stored.get(number, []) for v in read(_short(value)))
    return values if len(values) == size else None


def _short(value: Value) -> Value:
    if isinstance(value, memoryview) and len(value) > _MAX_LIST:
        raise ValueError(f"a list of {len(value)} bytes among the attributes or sizes")
    return value


def _text(value: memoryview) -> str:
    if len(value) > _MAX_NAME:
        raise ValueError(f"a name of {len(value)} bytes")
    return str(value, "utf-8", "replace")


def _float(value: int) -> float:
    number: float = struct.unpack("<f", struct.pack("<I", value))[0]
    return number


def _floats(value: Value) -> list[float]:
    if isinstance(value, int):
        return [_float(value)]
    if len(value) % 4:
        raise ValueError("floats that are cut short")
    return list(struct.unpack(f"<{len(value) // 4}f", value))
