"""Trees of which parts are closed: what is closed is named, and the rest is found."""

from __future__ import annotations

from pathlib import Path

from edge_lpr.io.walk import regular_files, walk_files


def make_tree(root: Path) -> None:
    for name in (
        *("a.jpg", "open/b.jpg", "no-x/c.jpg", "no-x/deep/d.jpg", "no-r/e.jpg", "none/f.jpg"),
        *(".h/g.jpg", ".hidden.jpg"),
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    (root / "loop").symlink_to("loop")
    (root / "gone").symlink_to("nowhere")
    (root / "to-open").symlink_to("open")
    (root / "to-a").symlink_to("a.jpg")
    (root / "into-none").symlink_to("none/f.jpg")
    for name, mode in (("no-x", 0o600), ("no-r", 0o300), ("none", 0)):
        (root / name).chmod(mode)


def test_what_is_closed_is_named_and_the_rest_is_found(nobody: Path) -> None:
    make_tree(nobody)
    problems: list[str] = []
    found = [str(path.relative_to(nobody)) for path in walk_files(nobody, problems.append)]
    assert sorted(found) == ["a.jpg", "open/b.jpg", "to-a"]
    closed = ("into-none", "no-r", "no-x", "none")
    assert sorted(problems) == [f"{nobody / name}: cannot be read (Permission denied)" for name in closed]


def test_a_folder_that_is_closed_itself(nobody: Path) -> None:
    (nobody / "shut").mkdir(0)
    for folder in (nobody / "shut", nobody / "shut" / "deeper"):
        problems: list[str] = []
        assert not list(walk_files(folder, problems.append))
        assert problems == [f"{folder}: cannot be read (Permission denied)"]


def test_files_are_told_from_what_is_none(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    names = ("file", "folder", "none", "file/none", "n" * 300)
    assert list(regular_files((tmp_path / name for name in names), print)) == [tmp_path / "file"]
