"""Protocol Buffers' wire format, walked without a schema and without copies.

Models are protobuf messages. What is asked of them before anything heavy opens them, or where nothing heavy
is installed, is a few fields: their numbers and types stand in the `.proto` files of ONNX and Paddle.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

__all__ = [
    "BYTES",
    "FIXED32",
    "FIXED64",
    "VARINT",
    "Budget",
    "Value",
    "fields",
    "signed",
    "varint",
    "varints",
]

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
Value = int | memoryview
"""A field's value: a number as it stands (see `signed`), or the bytes of a text, array or message."""
_FIXED = {FIXED64: struct.Struct("<Q"), FIXED32: struct.Struct("<I")}
_64_BITS = (1 << 64) - 1


class Budget:
    """How many fields of a file may be looked at: two bytes can be one.

    Args:
        count: The number of fields.
    """

    def __init__(self, count: int) -> None:
        self._count = self._left = count

    def spend(self) -> None:
        """Counts one.

        Raises:
            ValueError: There were as many before.
        """
        self._left -= 1
        if self._left < 0:
            raise ValueError(f"more than {self._count} fields")


def fields(message: bytes | memoryview, budget: Budget | None = None) -> Iterator[tuple[int, int, Value]]:
    """Gives the fields of a message in their order.

    Args:
        message: The message.
        budget: Counts them, where their number is bounded.

    Yields:
        The field's number, its wire type and its value.

    Raises:
        ValueError: Damaged or truncated.
    """
    view = memoryview(message)
    position, end = 0, len(view)
    while position < end:
        if budget is not None:
            budget.spend()
        key, position = varint(view, position)
        number, kind = key >> 3, key & 7
        value: Value
        if kind == BYTES:
            length, position = varint(view, position)
            if length > end - position:
                raise ValueError("a field reaches beyond the end")
            value = view[position : position + length]
            position += length
        elif kind == VARINT:
            value, position = varint(view, position)
        elif kind in _FIXED:
            if _FIXED[kind].size > end - position:
                raise ValueError("it ends within a number")
            (value,) = _FIXED[kind].unpack_from(view, position)
            position += _FIXED[kind].size
        else:
            raise ValueError(f"no protobuf: wire type {kind}")
        yield number, kind, value


def varint(message: bytes | memoryview, position: int) -> tuple[int, int]:
    """Reads a number of variable length.

    Returns:
        The number, 0 to 2⁶⁴ - 1, and the position after it.

    Raises:
        ValueError: It has no end, or more than 64 bits.
    """
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            raise ValueError("it ends within a number")
        byte = message[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & _64_BITS, position
    raise ValueError("a number of more than 64 bits")


def varints(value: Value) -> list[int]:
    """Returns the signed numbers of a repeated field's entry, which is one number or several in a row.

    Raises:
        ValueError: Damaged or truncated.
    """
    if isinstance(value, int):
        return [signed(value)]
    found, position = [], 0
    while position < len(value):
        number, position = varint(value, position)
        found.append(signed(number))
    return found


def signed(value: int) -> int:
    """Returns a number as the signed one of 64 bits that its message means."""
    return value - (1 << 64) if value >> 63 else value
