"""Checkpoints: what Paddle writes is read, everything else is refused without being run."""

import collections
import os
import pickle
from pathlib import Path

import numpy as np
import pytest

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
