"""What is read and what is written is told apart by the files themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_lpr.errors import SettingError
from edge_lpr.io.claims import Claims, Named, check_outputs, files_in


def test_an_output_that_is_not_there_asks_for_no_input(tmp_path: Path) -> None:
    def slow() -> Iterator[Named]:
        yield from ()
        raise AssertionError("looked at the inputs")

    check_outputs([("--json", tmp_path / "new"), ("--csv", "-"), ("--out", None), ("--jsonl", "-")], slow())


def test_a_folder_s_files_are_inputs(tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    for name in ("in/a.txt", "in/deep/b.txt", "c.txt"):
        (tmp_path / name).write_text("x")
    inputs = [*files_in("DATA", tmp_path / "in"), *files_in("--dict", tmp_path / "c.txt")]
    assert not list(files_in("--charset", None))
    assert {Path(str(path)).name for _, path in inputs} == {"a.txt", "b.txt", "c.txt"}
    for name in ("in/a.txt", "in/deep/b.txt", "c.txt"):
        with pytest.raises(SettingError, match=rf"--json .*{name}: would overwrite .*{name}, which is read"):
            check_outputs([("--json", tmp_path / "in" / ".." / name)], inputs)
    check_outputs([("--json", tmp_path / "in" / "new.txt")], inputs)


def test_outputs_meet_whether_they_are_there_or_not(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    for there in (False, True):
        if there:
            (tmp_path / "o").touch()
        with pytest.raises(SettingError, match="--a and --b are the same"):
            check_outputs([("--a", tmp_path / "o"), ("--b", tmp_path / "link" / "o")], [])
        with pytest.raises(SettingError, match="--a and --b are the same"):
            check_outputs([("--a", tmp_path / "none" / "o"), ("--b", tmp_path / "none" / "." / "o")], [])
    check_outputs([("--a", tmp_path / "o"), ("--b", tmp_path / "p"), ("--a", tmp_path / "o")], [])


def test_a_claim_holds_once_the_file_was_made(tmp_path: Path) -> None:
    claims = Claims()
    claims.claim(tmp_path / "o", "--a")
    (tmp_path / "o").touch()
    assert claims.is_taken(tmp_path / "o", "--b") and not claims.is_taken(tmp_path / "o", "--a")


def test_names_that_no_file_can_have_are_nobody_s(tmp_path: Path) -> None:
    outputs = [("--a", tmp_path / ("n" * 300)), ("--b", Path("/dev/null")), ("--c", Path("/dev/null"))]
    check_outputs(outputs, [("DATA", "a\0b")])
