"""A data folder belongs to one service at a time, however that ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from edge_lpr.errors import InputError
from edge_lpr.serve.data_folder import DataFolder


def test_another_service_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "new" / "data")
    assert (folder.path / "lock").read_text(encoding="utf-8") == f"{os.getpid()}\n"
    with pytest.raises(InputError, match="another edge-lpr serve has this data folder"):
        DataFolder(folder.path)
    folder.close()
    DataFolder(folder.path).close()


def test_one_that_was_killed_leaves_it_free(tmp_path: Path) -> None:
    program = (
        "import sys, time\nfrom pathlib import Path\nfrom edge_lpr.serve.data_folder import DataFolder\n"
        "folder = DataFolder(Path(sys.argv[1]))\nprint('has it', flush=True)\ntime.sleep(600)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None and other.stdout.readline() == "has it\n"
        with pytest.raises(InputError, match="another edge-lpr serve"):
            DataFolder(tmp_path)
        other.kill()
    DataFolder(tmp_path).close()


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"cannot be written .*: \[service\] data$"):
        DataFolder(tmp_path / "file" / "data")
