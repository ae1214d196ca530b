"""Saved Paddle programs and weights, looked at without Paddle."""

import json
import struct
from pathlib import Path

import pytest

from edge_lpr.errors import ModelError
from edge_lpr.export.paddle_program import check_program, check_weights, operators


def field(number: int, value: bytes) -> bytes:
    assert len(value) < 1 << 14
    length = bytes([len(value)]) if len(value) < 128 else bytes([len(value) & 127 | 128, len(value) >> 7])
    return bytes([number << 3 | 2]) + length + value


def program(*types: str) -> bytes:
    """A `ProgramDesc`: one block, its operators, and a list of versions of others."""
    ops = b"".join(field(4, field(1, b"X") + field(3, t.encode())) for t in types)
    block = b"\x08\x00\x10\x01" + field(3, b"a variable") + ops
    versions = field(1, field(1, b"fake_quantize_abs_max") + b"\x10\x01")
    return field(1, block) + field(4, b"\x08\x00") + field(5, versions)


def pir(*types: str) -> bytes:
    return json.dumps(
        {"program": {"ops": [{"#": f"1.{t}", "A": ["quantize_linear"]} for t in types]}}
    ).encode()


@pytest.mark.parametrize(("make", "suffix"), [(program, ".pdmodel"), (pir, ".json")])
def test_operators_of_the_program_alone(tmp_path: Path, make: object, suffix: str) -> None:
    data = make("conv2d", "relu", "conv2d")  # type: ignore[operator]
    assert operators(data, suffix) == {"conv2d", "relu"}
    file = tmp_path / f"inference{suffix}"
    file.write_bytes(data)
    check_program(file)


@pytest.mark.parametrize(("make", "suffix"), [(program, ".pdmodel"), (pir, ".json")])
@pytest.mark.parametrize(
    "operator",
    [
        "quantize_linear",
        "dequantize_linear",
        "fake_quantize_dequantize_moving_average_abs_max",
        "fake_channel_wise_dequantize_max_abs",
    ],
)
def test_quantized_programs_are_named(tmp_path: Path, make: object, suffix: str, operator: str) -> None:
    file = tmp_path / f"inference{suffix}"
    file.write_bytes(make("conv2d", operator))  # type: ignore[operator]
    with pytest.raises(ModelError, match=f"quantized Paddle model .operator {operator}"):
        check_program(file)


@pytest.mark.parametrize("suffix", [".pdmodel", ".json"])
def test_damaged_programs(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"inference{suffix}"
    whole = program("conv2d", "relu") if suffix == ".pdmodel" else pir("conv2d", "relu")
    for data in (b"", whole[: len(whole) - 9], b"\xff" * 40, b"\x0b\x00 plain text"):
        file.write_bytes(data)
        with pytest.raises(ModelError, match=r"damaged or truncated|no operators"):
            check_program(file)
    with pytest.raises(ModelError, match="cannot be read"):
        check_program(tmp_path / f"none{suffix}")


def array(*sizes: int, kind: int = 5, packed: bool = False, short: int = 0) -> bytes:
    count = 4
    for n in sizes:
        count *= n
    dims = field(2, bytes(sizes)) if packed else b"".join(bytes([16, n]) for n in sizes)
    description = bytes([8, kind]) + dims
    return struct.pack("<IQIi", 0, 0, 0, len(description)) + description + bytes(count - short)


@pytest.mark.parametrize("packed", [False, True])
def test_weights_are_counted(tmp_path: Path, packed: bool) -> None:
    file = tmp_path / "inference.pdiparams"
    file.write_bytes(array(8, packed=packed) + array(3, 2, packed=packed) + array(1, packed=packed))
    assert check_weights(file) == 3


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "empty"),
        (array(8) + array(3, 2, short=1), "ends within array 2"),
        (array(8) + b"\x00" * 7, "ends within an array's header"),
        (array(8) + b"PK\x03\x04" * 20, "no array at byte"),
        (array(8, kind=77), "unknown type 77"),
    ],
)
def test_damaged_weights(tmp_path: Path, data: bytes, told: str) -> None:
    file = tmp_path / "inference.pdiparams"
    file.write_bytes(data)
    with pytest.raises(ModelError, match=told):
        check_weights(file)
