"""Checkpoints: what Paddle writes is read, everything else is refused without being run."""

import collections
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from helpers.limited import run_limited

from edge_lpr.architectures import pdparams
from edge_lpr.architectures.pdparams import branches, load_checkpoint, save_checkpoint, select_branch
from edge_lpr.errors import ModelError, OutputError


def arrays() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {
        "conv.weight": random.normal(size=(4, 3, 3, 3)).astype(np.float32),
        "fc.weight": np.asfortranarray(random.normal(size=(5, 7))),
        "half": random.normal(size=3).astype(np.float16),
        "steps": np.array(12, np.int64),
        "none": np.zeros((0, 4), np.float32),
        "big_endian": np.arange(6, dtype=">f4").reshape(2, 3),
    }


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("container", [dict, collections.OrderedDict])
def test_reads_what_pickle_makes_of_arrays(tmp_path: Path, protocol: int, container: type) -> None:
    file = tmp_path / "a.pdparams"
    content = container(arrays())
    content["StructuredToParameterName@@"] = {"conv.weight": "conv2d_0.w_0"}
    file.write_bytes(pickle.dumps(content, protocol=protocol))
    found = load_checkpoint(file)
    assert list(found) == list(arrays())
    for name, wanted in arrays().items():
        assert found[name].shape == wanted.shape
        assert found[name].dtype == wanted.dtype.newbyteorder("=")
        np.testing.assert_array_equal(found[name], wanted)
        assert found[name].flags.writeable


def test_round_trip_names_the_arrays_as_an_older_numpy_does(tmp_path: Path) -> None:
    file = tmp_path / "new" / "a.pdparams"
    save_checkpoint(file, arrays())
    assert b"numpy._core" not in file.read_bytes()
    for found in (load_checkpoint(file), pickle.loads(file.read_bytes())):
        for name, wanted in arrays().items():
            np.testing.assert_array_equal(found[name], wanted)
    assert [p.name for p in file.parent.iterdir()] == ["a.pdparams"]


def test_tensors_saved_with_their_internal_name(tmp_path: Path) -> None:
    file = tmp_path / "a.pdparams"
    file.write_bytes(pickle.dumps({"w": ("linear_0.w_0", np.ones(3, np.float32))}))
    np.testing.assert_array_equal(load_checkpoint(file)["w"], np.ones(3, np.float32))


class Hostile:
    def __init__(self, function: object, *given: object) -> None:
        self.call = (function, given)

    def __reduce__(self) -> tuple:  # type: ignore[type-arg]
        return self.call


@pytest.mark.parametrize("function", [os.system, eval, print, getattr, np.load, collections.deque])
def test_code_in_a_pickle_is_not_run(tmp_path: Path, function: object) -> None:
    trace = tmp_path / "trace"
    file = tmp_path / "a.pdparams"
    file.write_bytes(pickle.dumps({"w": Hostile(function, f"touch {trace}")}))
    with pytest.raises(ModelError, match="asks for"):
        load_checkpoint(file)
    assert not trace.exists()


def test_object_arrays_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "a.pdparams"
    file.write_bytes(pickle.dumps({"w": np.array([1, "a"], object)}))
    with pytest.raises(ModelError, match="expected numbers"):
        load_checkpoint(file)


def test_a_shape_without_its_bytes_takes_no_memory(tmp_path: Path) -> None:
    file = tmp_path / "a.pdparams"
    honest = pickle.dumps({"w": np.zeros((2, 3), np.float32)}, protocol=2)
    # BININT1 2, BININT1 3, TUPLE2 becomes a shape of 2^31 - 1 by 2^31 - 1.
    huge = b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86"
    assert honest.count(b"K\x02K\x03\x86") == 1
    file.write_bytes(honest.replace(b"K\x02K\x03\x86", huge))
    with pytest.raises(ModelError, match="with 24 bytes"):
        load_checkpoint(file)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ([1, 2], "holds a list"),
        ({}, "no arrays"),
        ({"LR_Scheduler": {"last_lr": 0.1}, "w": np.ones(2)}, "optimizer"),
        ({"w": 3}, "'w' is a int"),
        ({7: np.ones(2)}, "'7'"),
        ({"UnpackBigParamInfor@@": {}}, "cut into pieces"),
    ],
)
def test_other_pickles(tmp_path: Path, content: object, told: str) -> None:
    file = tmp_path / "a.pdparams"
    file.write_bytes(pickle.dumps(content))
    with pytest.raises(ModelError, match=told) as caught:
        load_checkpoint(file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_truncated(tmp_path: Path, share: float) -> None:
    file = tmp_path / "a.pdparams"
    save_checkpoint(file, arrays())
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(ModelError, match="damaged"):
        load_checkpoint(file)


@pytest.mark.parametrize("seed", range(20))
def test_noise_never_escapes_as_another_error(tmp_path: Path, seed: int) -> None:
    file = tmp_path / "a.pdparams"
    save_checkpoint(file, arrays())
    random = np.random.default_rng(seed)
    data = bytearray(file.read_bytes())
    for position in random.integers(0, len(data), 30):
        data[position] = int(random.integers(0, 256))
    file.write_bytes(bytes(data))
    try:
        found = load_checkpoint(file)
    except ModelError as e:
        assert "\n" not in str(e)
    else:
        assert all(isinstance(a, np.ndarray) for a in found.values())


def test_missing_and_unwritable(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        load_checkpoint(tmp_path / "no.pdparams")
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot be written"):
        save_checkpoint(tmp_path / "file" / "a.pdparams", arrays())


def test_branches() -> None:
    content = {"Student.a": np.ones(1), "Student2.a": np.ones(2), "Teacher.a": np.ones(3)}
    assert branches(content) == ("Student", "Student2", "Teacher")
    for size, branch in enumerate(("Student", "Student2", "Teacher"), 1):
        assert {n: a.size for n, a in select_branch(content, branch, "x").items()} == {"a": size}
    assert list(select_branch({"a": np.ones(1)}, "Teacher", "x")) == ["a"]
    with pytest.raises(ModelError, match="only Teacher"):
        select_branch({"Teacher.a": np.ones(3)}, "Student", "x")


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def attributes() -> dict[str, dict[str, object]]:
    """The attributes of everything in the module."""
    return {name: dict(vars(v)) for name, v in vars(pdparams).items() if hasattr(v, "__dict__")}


HOSTILE = [
    (b"\x80\x02}r\0\0\0\x08.", r"place 134217728 of the memo after 3 opcodes at byte 3"),
    (b"\x80\x02}q\xff.", "place 255 of the memo after 3 opcodes"),
    (b"\x80\x02}j\0\0\0\x08.", "place 134217728 of the memo is empty"),
    (b"\x80\x02X\xff\xff\xff\x7f.", "2147483647 bytes at byte 3"),
    (b"\x80\x04\x8d" + b"\xff" * 8 + b".", "18446744073709551615 bytes"),
    (b"\x80\x04\x96" + b"\xff" * 7 + b"\x7f.", "bytes at byte 3, 1 are left"),
    (b"\x80\x02\x8a\xff" + b"\xff" * 255 + b".", "an integer of 255 bytes"),
    (b"\x80\x02\x8b\xff\xff\xff\x7f.", "LONG4, which no checkpoint has|bytes at byte"),
    (b"\x80\x02I" + b"9" * 400 + b"\n.", "a name without an end"),
    (b"\x80\x02I99\n.", "the opcode INT, which no checkpoint has"),
    (b"\x80\x02" + b"(" * 100 + b"}.", "holds a dict|no arrays"),
    (b"\x80\x02}" + text("w") + b"\x85" * 50 + b"K\x01s.", "more than 8 tuples in each other"),
    (b"\x80\x02}K\x01" + b"\x85" * 1_000_000 + b"K\x02s.", "more than 8 tuples in each other"),
    (b"\x80\x02s.", "an opcode without its operands"),
    (b"\x80\x02t.", "an opcode without its mark"),
    (b"\x80\x02" + b"]" * 500_001, "more than 500000 opcodes"),
    (b"\x80\x04\x8c\x01w\x93.", "an opcode without its operands"),
    (b"\x80\x02c_codecs\nencode\n)\x81.", "NEWOBJ, which no checkpoint has"),
    (b"\x80\x02}\x95\xff\xff\xff\xff\xff\xff\xff\xff.", "not a .pdparams|bytes"),
    (b"\x80\x02}U\x01w}}s", "ends before its STOP"),
]


@pytest.mark.parametrize(("data", "said"), HOSTILE)
def test_opcodes_are_looked_at_first(tmp_path: Path, data: bytes, said: str) -> None:
    file = tmp_path / "a.pdparams"
    file.write_bytes(data)
    with pytest.raises(ModelError, match=said):
        load_checkpoint(file)


def test_hostile_opcodes_take_no_memory(tmp_path: Path) -> None:
    for i, (data, _) in enumerate(HOSTILE):
        (tmp_path / f"{i}.pdparams").write_bytes(data)
    code = """
for file in sys.argv[1:]:
    try:
        load_checkpoint(file)
    except ModelError:
        print("refused")
"""
    imports = "from edge_lpr.architectures.pdparams import load_checkpoint, ModelError"
    told = run_limited(code, *tmp_path.iterdir(), megabytes=64, imports=imports)
    assert told.split() == ["refused"] * len(HOSTILE)


@pytest.mark.parametrize(
    "target",
    [
        *(f"c{module}\n{name}\n".encode() for module, name in pdparams._ALLOWED),
        b"ccollections\nOrderedDict\n)R",
        b"}",
        b"]",
        b")",
        b"K\x01",
        text("w"),
    ],
)
@pytest.mark.parametrize("state", [b"}" + text("x") + b"K\x01s", b"N}" + text("x") + b"K\x01s\x86"])
def test_no_attribute_of_anything_can_be_set(tmp_path: Path, target: bytes, state: bytes) -> None:
    before = {
        name: vars(value).copy() for name, value in vars(pdparams).items() if hasattr(value, "__dict__")
    }
    file = tmp_path / "a.pdparams"
    file.write_bytes(b"\x80\x02" + target + state + b"b.")
    with pytest.raises(ModelError, match=r"asks for to set|not a \.pdparams checkpoint"):
        load_checkpoint(file)
    assert attributes() == before


def test_a_tuple_is_made_of_a_tuple_alone(tmp_path: Path) -> None:
    file = tmp_path / "a.pdparams"
    file.write_bytes(b"\x80\x02cbuiltins\ntuple\n](K\x01K\x02e\x85R.")
    with pytest.raises(ModelError, match="a tuple of no tuple"):
        load_checkpoint(file)
