"""The command that makes the sample street."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_lpr.finetune.synthesis.street.__main__ import main


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "taken").write_text("a file")
    assert main(["--out", str(tmp_path / "taken")]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"street: {tmp_path / 'taken'}: cannot be written")
    assert error.count("\n") == 1


def test_a_file_that_cannot_be_written_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "street.jpg").mkdir()
    assert main(["--out", str(tmp_path)]) == 1
    assert (
        capsys.readouterr().err == f"street: {tmp_path / 'street.jpg'}: cannot be written (Is a directory)\n"
    )
