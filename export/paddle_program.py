"""Saved Paddle programs and weights, looked at without Paddle.

`.pdmodel` is a protobuf `ProgramDesc` of Paddle's `framework.proto`: blocks (field 1) with operators (field
4) whose type is field 3. The names elsewhere in the file say nothing: it also lists the versions of all
operators that Paddle knows. `.json` is Paddle 3's program, in which `#` is an operator's name.

`.pdiparams` is one array after another: 4 bytes of version, 8 of level of detail (0 for all but text), 4 of
version, 4 of length and so many of a protobuf `TensorDesc` (type in field 1, sizes in field 2), then the
values.
"""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from edge_lpr.errors import ModelError
from edge_lpr.io.bounded_io import read_bounded
from edge_lpr.io.protobuf import BYTES, fields, varint

__all__ = ["check_program", "check_weights", "operators"]

MAX_PROGRAM_BYTES = 32 << 20
MAX_WEIGHTS_BYTES = 2 << 30
_BLOCKS, _OPERATORS, _TYPE = 1, 4, 3
_HEADER = struct.Struct("<IQIi")
# Bytes of a value by Paddle's number of its type: bool, int16, int32, int64, fp16, fp32, fp64, uint8, int8,
# bf16.
_VALUE_BYTES = {0: 1, 1: 2, 2: 4, 3: 8, 4: 2, 5: 4, 6: 8, 20: 1, 21: 1, 22: 2}
_MAX_DESCRIPTION = 1 << 12
_JSON_OPERATOR = re.compile(rb'"#"\s*:\s*"([\w.]{1,80})"')
_QUANTIZED = re.compile(r"(?:fake_.*)?(?:de)?quantize(?:_\w*)?")


def check_program(path: Path) -> None:
    """Checks that a program can be read and is not quantized.

    Args:
        path: A `.pdmodel` or `.json` file.

    Raises:
        ModelError: Missing, too large, damaged, or with quantized operators.
    """
    data = read_bounded(path, MAX_PROGRAM_BYTES, "a model's program", ModelError)
    try:
        found = operators(data, path.suffix)
    except (ValueError, RecursionError) as e:
        raise ModelError(f"{path}: damaged or truncated ({e}); copy the model again") from e
    if not found:
        raise ModelError(f"{path}: no operators in it, expected an inference model's program")
    quantized = sorted(name for name in found if _QUANTIZED.fullmatch(name))
    if quantized:
        raise ModelError(
            f"{path}: a quantized Paddle model (operator {quantized[0]}); export the float model, and "
            "quantize its bundle with: edge-lpr calibrate"
        )


def check_weights(path: Path) -> int:
    """Checks that a `.pdiparams` file is as long as the arrays in it say.

    Args:
        path: The file.

    Returns:
        How many arrays it holds.

    Raises:
        ModelError: Missing, too large, or damaged.
    """
    try:
        size = path.stat().st_size
        if size > MAX_WEIGHTS_BYTES:
            raise ModelError(f"{path}: {size} bytes, more than the {MAX_WEIGHTS_BYTES} that export reads")
        with path.open("rb") as file:
            count = _count_arrays(file, size)
    except OSError as e:
        raise ModelError(f"{path}: cannot be read ({e.strerror or e})") from e
    except ValueError as e:
        raise ModelError(f"{path}: damaged or truncated ({e}); copy the model again") from e
    if not count:
        raise ModelError(f"{path}: an empty file; copy the model again")
    return count


def _count_arrays(file: BinaryIO, size: int) -> int:
    count = 0
    while file.tell() < size:
        header = file.read(_HEADER.size)
        if len(header) < _HEADER.size:
            raise ValueError("it ends within an array's header")
        *versions, length = _HEADER.unpack(header)
        if any(versions) or not 0 < length <= _MAX_DESCRIPTION:
            raise ValueError(f"no array at byte {file.tell() - _HEADER.size}")
        end = file.tell() + length + _array_bytes(file.read(length))
        if end > size:
            raise ValueError(f"it ends within array {count + 1}")
        file.seek(end)
        count += 1
    return count


def _array_bytes(description: bytes) -> int:
    kind, sizes, position = -1, [], 0
    while position < len(description):
        key, position = varint(description, position)
        value, position = varint(description, position)
        if key == 2 << 3 | BYTES:  # sizes packed into one field
            end = position + value
            while position < min(end, len(description)):
                value, position = varint(description, position)
                sizes.append(value)
        elif key == 1 << 3:
            kind = value
        elif key == 2 << 3:
            sizes.append(value)
    if kind not in _VALUE_BYTES:
        raise ValueError(f"an array of unknown type {kind}")
    return math.prod(sizes) * _VALUE_BYTES[kind]


def operators(data: bytes, suffix: str) -> set[str]:
    """Lists the types of a program's operators, such as "conv2d".

    Args:
        data: The file's bytes.
        suffix: ".pdmodel" or ".json".

    Raises:
        ValueError: Damaged or truncated.
    """
    if suffix == ".json":
        json.loads(data)
        return {m[1].decode().split(".")[-1] for m in _JSON_OPERATOR.finditer(data)}
    return {
        str(name, "utf-8", "replace")
        for block in _messages(data, _BLOCKS)
        for operator in _messages(block, _OPERATORS)
        for name in _messages(operator, _TYPE)
    }


def _messages(message: bytes | memoryview, wanted: int) -> Iterator[memoryview]:
    for number, _, value in fields(message):
        if number == wanted and isinstance(value, memoryview):
            yield value
