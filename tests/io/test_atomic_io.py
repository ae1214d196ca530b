"""Files that are written whole, or leave what was there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge_lpr.errors import OutputError
from edge_lpr.io.atomic_io import check_writable, create_folder, write_bytes


def test_folders_are_made_and_tried(tmp_path: Path) -> None:
    create_folder(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"file: cannot be written \(a file, expected a folder\)"):
        create_folder(tmp_path / "file")


def test_what_cannot_be_written_is_known_before(tmp_path: Path) -> None:
    for path in (None, "-", tmp_path / "new", Path("/dev/null")):
        check_writable(path)
    with pytest.raises(OutputError, match=r"there is no folder .*none; create it first"):
        check_writable(tmp_path / "none" / "o")
    with pytest.raises(OutputError, match="Is a directory"):
        check_writable(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_pipe_is_written_to_and_never_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_bytes(pipe, b"whole")
        assert os.read(reader, 99) == b"whole"
    finally:
        os.close(reader)
    assert pipe.is_fifo() and list(tmp_path.iterdir()) == [pipe]


def test_a_link_is_followed_by_whole_files_too(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "target")
    write_bytes(tmp_path / "link", b"whole")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"whole"
