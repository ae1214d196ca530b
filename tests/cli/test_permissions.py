"""What this user may not read is named with the reason, the rest is read, and the exit code says so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.ccpd import GREEN, ONE, write_ccpd
from helpers.extras import reason
from numpy.typing import NDArray

from edge_lpr.cli import main

Scene = Callable[..., NDArray[np.uint8]]
FAST = ["--det-limit-side-len", "256", "--det-limit-type", "max", "--threads", "1"]
DENIED = "cannot be read (Permission denied)"


@pytest.fixture
def tree(nobody: Path, plate_scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree of images: two can be read, one cannot, one folder cannot be entered and one not be listed."""
    data = cv2.imencode(".png", plate_scene("皖A13H25"))[1]
    for name in ("a.png", "b.png", "no-x/c.png", "no-r/d.png", "open/e.png"):
        path = nobody / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        data.tofile(path)
    for name, mode in (("b.png", 0), ("no-x", 0o600), ("no-r", 0o300)):
        (nobody / "tree" / name).chmod(mode)
    monkeypatch.chdir(nobody)
    return nobody / "tree"


@pytest.mark.parametrize("source", ["tree", "tree/**/*.png"])
def test_a_tree_is_read_as_far_as_it_is_open(
    source: str, tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([source, *FAST]) == 2
    captured = capsys.readouterr()
    told = sorted(line.removeprefix("edge-lpr: ") for line in captured.err.splitlines())
    no_x = "tree/no-x" if source == "tree" else "tree/no-x/c.png"
    assert told == sorted([f"tree/b.png: {DENIED}", f"tree/no-r: {DENIED}", f"{no_x}: {DENIED}"])
    assert [line.split()[0] for line in captured.out.splitlines()] == ["tree/a.png", "tree/open/e.png"]


@pytest.mark.parametrize("source", ["tree/b.png", "tree/no-x/c.png", "tree/no-r", "tree/no-x/*.png"])
def test_a_source_that_is_closed_is_named(
    source: str, tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([source, "tree/a.png", *FAST]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1 and captured.err.endswith(f": {DENIED}\n")
    assert captured.out.startswith("tree/a.png") and captured.out.count("\n") == 1


def test_results_that_may_not_be_written(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tree.parent / "out").mkdir(0o500)
    for option in (["--jsonl", "out/o"], ["--csv", "out/o"], ["--save", "out"], ["--crops", "out/deeper"]):
        assert main(["tree/a.png", *option, *FAST]) == 1
        assert f": {option[1]}: cannot be written (Permission denied)\n" in capsys.readouterr().err


def test_labelled_images(tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("rapidfuzz", reason=reason("rapidfuzz", "evaluate"))
    corners = '"80,90 239,90 239,140 80,140"'
    names = ("a.png", "b.png", "no-x/c.png", "open/e.png")
    rows = ["file,label,corners_tl_tr_br_bl", *(f"{name},皖A13H25,{corners}" for name in names)]
    (tree / "plates.csv").write_text("\n".join(rows), encoding="utf-8")
    assert main(["evaluate", "e2e", "tree", *FAST]) == 2
    captured = capsys.readouterr()
    assert f"skipped: tree/b.png: {DENIED}" in captured.err
    assert f"skipped: tree/plates.csv:4: no-x/c.png: {DENIED}" in captured.err and "over 2" in captured.out
    (tree / "plates.csv").chmod(0)
    assert main(["evaluate", "e2e", "tree", *FAST]) == 2
    assert capsys.readouterr().err == f"edge-lpr: tree/plates.csv: {DENIED}\n"


def test_a_data_set(
    nobody: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(nobody)
    write_ccpd(nobody / "ccpd")
    (nobody / "ccpd" / "ccpd_green").chmod(0)
    (nobody / "ccpd" / "ccpd_base" / ONE).chmod(0)
    assert main(["dataset", "ccpd", "ccpd", "--out", "out"]) == 2
    captured = capsys.readouterr()
    assert f"skipped: ccpd_green: {DENIED}" in captured.err
    assert f"skipped: ccpd_base/{ONE}: {DENIED}" in captured.err
    assert "2 images, 1 plate; 2 skipped" in captured.out and GREEN not in captured.out
    (nobody / "ccpd").chmod(0)
    assert main(["dataset", "ccpd", "ccpd", "--out", "out2"]) == 2
    assert capsys.readouterr().err == f"edge-lpr: ccpd: no image in it; ccpd: {DENIED}\n"


@pytest.mark.parametrize("closed", ["bundle", "bundle/bundle.json", "bundle/det.fp32.onnx"])
def test_a_bundle(closed: str, tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from edge_lpr.bundle.manifest import bundled

    (tree.parent / "bundle").mkdir()
    for path in bundled().iterdir():
        (tree.parent / "bundle" / path.name).write_bytes(path.read_bytes())
    Path(closed).chmod(0)
    assert main(["tree/a.png", "--bundle", "bundle", *FAST]) == 2
    err = capsys.readouterr().err
    assert err.startswith("edge-lpr: bundle") and "Permission denied" in err and err.count("\n") == 1
