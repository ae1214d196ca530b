from __future__ import annotations

import os
from pathlib import Path
from typing import IO

import numpy as np
import pytest
from helpers.ccpd import ONE, SAME_PLATE, make_image, write_ccpd

from edge_lpr.datasets import ccpd_converter
from edge_lpr.datasets.ccpd_converter import convert_ccpd
from edge_lpr.datasets.labels import load_labels
from edge_lpr.errors import InputError, OutputError


@pytest.fixture
def ccpd(tmp_path: Path) -> Path:
    return write_ccpd(tmp_path / "ccpd")


def test_each_image_keeps_its_crop(ccpd: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = convert_ccpd(ccpd, out)
    assert (result.images, result.crops, result.reused, result.problems) == (4, 3, 0, [])
    labels = load_labels([out])
    assert labels.problems == []
    assert [p.text for s in labels.crops for p in s.plates or ()] == ["皖AY339S", "皖AY339S", "皖AF06789"]
    assert len({s.path for s in labels.crops}) == 3
    assert [len(s.plates or ()) for s in labels.scenes] == [1, 1, 1, 0]
    crop = labels.crops[0].read()
    assert crop.shape == (20, 60, 3)
    assert np.abs(crop.astype(int) - (200, 50, 20)).mean() < 8
    scene = labels.scenes[0]
    assert scene.plates is not None
    assert scene.plates[0].corners is not None
    assert scene.plates[0].corners.tolist() == [[20, 10], [80, 10], [80, 30], [20, 30]]


def test_bad_images_are_listed_with_their_reason(ccpd: Path, tmp_path: Path) -> None:
    base = ccpd / "ccpd_base"
    make_image(base / ONE.replace("025-", "x-"))
    make_image(base / ONE.replace("-37-15", "-1-1"), (20, 50))
    (base / ONE.replace("-37-15", "-2-2")).write_bytes(make_image(base / ONE).read_bytes()[:-20])
    (base / ONE.replace("-37-15", "-3-3")).write_bytes(b"")
    (base / ONE.replace("-37-15", "-4-4")).write_bytes(b"no image")
    result = convert_ccpd(ccpd, tmp_path / "out")
    assert result.images == 4
    reasons = dict(result.problems)
    assert len(reasons) == 5
    for part, reason in (
        ("/x-", "area is 'x'"), ("-1-1", "outside of the 50x20 image"), ("-2-2", "cut short"),
        ("-3-3", "empty"), ("-4-4", "not an image"),
    ):  # fmt: skip
        assert any(part in name and reason in text for name, text in reasons.items()), part
    listed = (tmp_path / "out" / "skipped.txt").read_text(encoding="utf-8").splitlines()
    assert len(listed) == 5


def test_a_second_run_makes_nothing_again(
    ccpd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    convert_ccpd(ccpd, out)
    before = {p: p.stat().st_mtime_ns for p in out.rglob("*.jpg")}
    texts = {name: (out / name).read_bytes() for name in ("det.txt", "rec.txt")}
    (out / "crops" / "ccpd_base" / SAME_PLATE).unlink()
    decoded: list[Path] = []
    decode = ccpd_converter._decode
    monkeypatch.setattr(
        ccpd_converter, "_decode", lambda path, *rest: (decoded.append(path), decode(path, *rest))
    )
    result = convert_ccpd(ccpd, out)
    assert [p.name for p in decoded] == [SAME_PLATE]
    assert result.reused == 3
    assert {name: (out / name).read_bytes() for name in texts} == texts
    kept = {p: t for p, t in before.items() if p.name != SAME_PLATE}
    assert {p: p.stat().st_mtime_ns for p in kept} == kept


def test_interruption_keeps_what_was_done(ccpd: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done: list[int] = []

    def stop(n: int) -> None:
        done.append(n)
        if len(done) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert_ccpd(ccpd, out, 1, stop)
    assert len((out / "det.txt").read_text(encoding="utf-8").splitlines()) == 2
    assert convert_ccpd(ccpd, out).images == 4
    assert not list(out.rglob("*.part"))


def test_copies_where_links_are_impossible(
    ccpd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    convert_ccpd(ccpd, tmp_path / "out")
    copy = tmp_path / "out" / "images" / "ccpd_base" / ONE
    assert copy.read_bytes() == (ccpd / "ccpd_base" / ONE).read_bytes()
    assert copy.stat().st_nlink == 1


def test_a_full_disk_leaves_no_half_copy(ccpd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    def fill(_source: object, target: IO[bytes]) -> None:
        target.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(ccpd_converter.shutil, "copyfileobj", fill)
    with pytest.raises(OutputError, match="No space left on device"):
        convert_ccpd(ccpd, tmp_path / "out")
    assert not [p for p in (tmp_path / "out" / "images").rglob("*") if p.is_file()]


def test_output_inside_of_the_source_is_not_read_again(ccpd: Path) -> None:
    for _ in range(2):
        assert convert_ccpd(ccpd, ccpd / "out").images == 4


def test_folders_without_ccpd_images(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        convert_ccpd(tmp_path / "nowhere", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no image in it"):
        convert_ccpd(tmp_path / "empty", tmp_path / "out")
    make_image(tmp_path / "other" / "cat.jpg")
    with pytest.raises(InputError, match=r"none of its 1 image can be used; the first, cat\.jpg: 1 field "):
        convert_ccpd(tmp_path / "other", tmp_path / "out")


def test_an_error_leaves_the_labels_of_an_earlier_run(ccpd: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    convert_ccpd(ccpd, out)
    before = (out / "det.txt").read_bytes()

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        convert_ccpd(ccpd, out, 1, stop)
    assert (out / "det.txt").read_bytes() == before and before.count(b"\n") == 4


def test_the_longest_names_are_copied_too(
    ccpd: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    for name in ("n" * 251 + ".jpg", "车" * 83 + ".png"):
        make_image(ccpd / "ccpd_np" / name)
    result = convert_ccpd(ccpd, tmp_path / "out")
    assert result.problems == [] and result.images == 6


def test_output_that_cannot_be_written(ccpd: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputError, match="cannot be written"):
        convert_ccpd(ccpd, tmp_path / "out")
