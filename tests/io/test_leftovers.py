"""What killed runs left is found, and what a run is writing is not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edge_lpr.io.leftovers import find_leftovers
from edge_lpr.io.out_file import PartFile, held

KILLED = """
import os, signal
from pathlib import Path
from edge_lpr.io.file_names import part_path
from edge_lpr.io.out_file import PartFile, held
file = PartFile(Path("plates.jsonl"))
file.write(b"12345")
folder = part_path(Path("bundle"))
folder.mkdir()
with held(folder):
    (folder / "model").write_bytes(b"1234567")
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_what_a_killed_run_left_is_found(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    subprocess.run([sys.executable, "-c", KILLED], cwd=inner, check=False)
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / ".x.1-2.part").touch()
    found = sorted(find_leftovers([tmp_path, inner, tmp_path / "none"]), key=lambda left: left.size)
    assert [(left.path.name.split(".")[1], left.size, left.certain) for left in found] == [
        ("plates", 5, True),
        ("bundle", 7, True),
    ]
    assert {left.path.parent for left in found} == {inner}


def test_what_is_being_written_is_left_out(tmp_path: Path) -> None:
    file = PartFile(tmp_path / "o")
    folder = tmp_path / ".b.1-1.part"
    folder.mkdir()
    with held(folder):
        assert not list(find_leftovers([tmp_path]))
    assert [left.path for left in find_leftovers([tmp_path])] == [folder]
    file.complete()
    folder.rmdir()
    assert not list(find_leftovers([tmp_path])) and (tmp_path / "o").exists()
