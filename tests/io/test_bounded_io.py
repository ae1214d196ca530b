"""Files that are read whole, up to a size."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge_lpr.errors import InputError, ModelError
from edge_lpr.io.bounded_io import read_bounded

LIMIT = 3 << 20


def test_a_file_of_the_limit_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for size in (0, 1, LIMIT - 1, LIMIT):
        data = os.urandom(size)
        path.write_bytes(data)
        assert read_bounded(path, LIMIT, "a dictionary", InputError) == data


def test_a_larger_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(bytes(LIMIT + 1))
    with pytest.raises(ModelError) as e:
        read_bounded(path, LIMIT, "a dictionary", ModelError)
    assert str(e.value) == f"{path}: larger than 3 MiB: not a dictionary"
    with pytest.raises(ModelError) as e:
        excess = "{size} bytes ({size_mib} MiB), more than {limit} ({limit_mib} MiB) of {what}"
        read_bounded(str(path), LIMIT, "a {model}", ModelError, label="det", excess=excess)
    assert str(e.value) == f"det: {LIMIT + 1} bytes (3 MiB), more than {LIMIT} (3 MiB) of a {{model}}"


@pytest.mark.skipif(not Path("/proc/self/maps").is_file(), reason="needs /proc")
def test_the_size_that_a_file_claims_is_not_believed() -> None:
    # Its size is said to be 0.
    path = Path("/proc/self/maps")
    assert path.stat().st_size == 0
    assert len(read_bounded(path, LIMIT, "a list", InputError)) > 1000
    with pytest.raises(InputError, match="101 bytes"):
        read_bounded(path, 100, "a list", InputError, excess="{size} bytes")


def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    path = tmp_path / "missing"
    with pytest.raises(InputError) as e:
        read_bounded(path, LIMIT, "a list", InputError)
    assert str(e.value) == f"{path}: cannot be read (No such file or directory)"
    with pytest.raises(InputError, match=r"^create it first$"):
        read_bounded(path, LIMIT, "a list", InputError, missing="create it first")
    with pytest.raises(InputError) as e:
        read_bounded(tmp_path, LIMIT, "a list", InputError)
    assert str(e.value) == f"{tmp_path}: cannot be read (Is a directory)"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_neither_a_pipe_nor_a_device_is_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero")):
        with pytest.raises(InputError) as e:
            read_bounded(path, LIMIT, "a list", InputError)
        assert str(e.value) == f"{path}: cannot be read (it is not a regular file)"
