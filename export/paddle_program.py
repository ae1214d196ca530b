"""Which operators a saved Paddle program has, read without Paddle.

`.pdmodel` is a protobuf `ProgramDesc` of Paddle's `framework.proto`: blocks (field 1) with operators (field
4) whose type is field 3. The names elsewhere in the file say nothing: it also lists the versions of all
operators that Paddle knows. `.json` is Paddle 3's program, in which `#` is an operator's name.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

from edge_lpr.errors import ModelError

__all__ = ["check_program", "operators"]

MAX_PROGRAM_BYTES = 256 << 20
_BLOCKS, _OPERATORS, _TYPE = 1, 4, 3
_BYTES = 2  # the wire type of what has a length
_FIXED = {1: 8, 5: 4}
_JSON_OPERATOR = re.compile(rb'"#"\s*:\s*"([\w.]{1,80})"')
_QUANTIZED = re.compile(r"(?:fake_.*)?(?:de)?quantize(?:_\w*)?")


def check_program(path: Path) -> None:
    """Checks that a program can be read and is not quantized.

    Args:
        path: A `.pdmodel` or `.json` file.

    Raises:
        ModelError: Missing, too large, damaged, or with quantized operators.
    """
    try:
        if path.stat().st_size > MAX_PROGRAM_BYTES:
            raise ModelError(f"{path}: larger than {MAX_PROGRAM_BYTES >> 20} MiB: not a model's program")
        data = path.read_bytes()
    except OSError as e:
        raise ModelError(f"{path}: cannot be read ({e.strerror or e})") from e
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
        name.decode("utf-8", "replace")
        for block in _fields(data, _BLOCKS)
        for operator in _fields(block, _OPERATORS)
        for name in _fields(operator, _TYPE)
    }


def _fields(message: bytes, wanted: int) -> Iterator[bytes]:
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        kind = key & 7
        if kind == _BYTES:
            length, position = _varint(message, position)
            end = position + length
            if end > len(message):
                raise ValueError("a field reaches beyond the end")
            if key >> 3 == wanted:
                yield message[position:end]
            position = end
        elif kind == 0:
            _, position = _varint(message, position)
        elif kind in _FIXED:
            position += _FIXED[kind]
        else:
            raise ValueError(f"no protobuf: wire type {kind}")


def _varint(message: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(message):
            raise ValueError("it ends within a number")
        byte = message[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
    raise ValueError("a number of more than 64 bits")
