"""Bytes of pictures, fetched again where storage does not give them at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from helpers.extras import reason

pytest.importorskip("fsspec", reason=reason("fsspec", "scale"))

from edge_lpr.archive.fetching import fetched, tried
from edge_lpr.archive.units import SourceFile
from edge_lpr.errors import SourceError, StorageError


def test_what_storage_does_not_give_is_asked_for_so_often_and_no_more() -> None:
    asked: list[int] = []

    def work() -> str:
        asked.append(1)
        if len(asked) % 3:
            raise StorageError("not now")
        return "data"

    assert tried(work, retries=2, pause=0.0) == "data" and len(asked) == 3
    with pytest.raises(StorageError, match="not now"):
        tried(work, retries=1, pause=0.0)
    assert len(asked) == 5


def test_what_can_never_be_used_is_asked_for_once() -> None:
    asked: list[int] = []

    def work() -> None:
        asked.append(1)
        raise SourceError("no picture")

    with pytest.raises(SourceError, match="no picture"):
        tried(work, retries=5, pause=0.0)
    assert len(asked) == 1


def test_pictures_come_in_their_order_and_errors_in_their_place(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.jpg" for number in range(9)]
    for path in paths:
        path.write_bytes(path.name.encode())
    paths[4].unlink()
    files = [SourceFile(str(path), path.name, n, 5, None) for n, path in enumerate(paths)]
    found = list(fetched(files, retries=0))
    assert [file.index for file, _ in found] == list(range(9))
    assert [data for _, data in found if isinstance(data, bytes)] == [
        path.name.encode() for path in paths if path is not paths[4]
    ]
    error = found[4][1]
    assert isinstance(error, StorageError) and "4.jpg: cannot be read" in str(error)
