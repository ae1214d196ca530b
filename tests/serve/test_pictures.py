"""Pictures on the disk: whole or not there, inside their folder, and never worth an event."""

from __future__ import annotations

import logging
import os
import shutil
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from helpers.failing_disk import failing_disks, parts_in
from helpers.stored_passages import Clock, database, frame

from edge_lpr.io.image_io import read_image
from edge_lpr.serve.pictures import Pictures, note
from edge_lpr.serve.settings import RetentionSettings


def opened(folder: Path, **retention: Any) -> Pictures:
    return Pictures(folder / "pictures", RetentionSettings.model_validate({"free_gigabytes": 0, **retention}))


def test_a_picture_lies_in_the_folder_of_its_day(tmp_path: Path) -> None:
    pictures = opened(tmp_path)
    put = pictures.put("one", "2026-11-27", "frame", frame(77))
    assert put is not None and put.path == "2026-11-27/one-frame.jpg"
    path = pictures.open_path(put.path)
    assert path is not None and path.stat().st_size == put.bytes
    assert abs(int(read_image(path).mean()) - 77) <= 1
    again = pictures.put("one", "2026-11-28", "frame", frame(99), put.path)
    assert again is not None and again.path == put.path
    assert abs(int(read_image(path).mean()) - 99) <= 1
    pictures.remove(put.path)
    pictures.remove(put.path)
    assert pictures.open_path(put.path) is None and not path.parent.exists()


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", "x" * 300, "", "-rf", "京A12345", "a\0b", "."])
def test_an_id_is_no_path(tmp_path: Path, name: str) -> None:
    pictures = opened(tmp_path)
    put = pictures.put(name, "2026-11-27", "crop", frame())
    assert put is not None
    path = pictures.open_path(put.path)
    assert path is not None and path.parent == tmp_path / "pictures" / "2026-11-27"


def test_ids_share_no_picture(tmp_path: Path) -> None:
    pictures = opened(tmp_path)
    names = {pictures.put("x" * 300 + end, "2026-11-27", "crop", frame()) for end in "ab"}
    assert len({put.path for put in names if put}) == 2


@pytest.mark.parametrize(
    "relative",
    [
        "",
        "/etc/passwd",
        "../secret.jpg",
        "2026-11-27/../../x-crop.jpg",
        "2026-11-27/one-crop.jpg\0",
        "2026-11-27/one-crop.png",
    ],
)
def test_nothing_else_is_opened_or_deleted(tmp_path: Path, relative: str) -> None:
    pictures = opened(tmp_path)
    pictures.put("one", "2026-11-27", "crop", frame())
    (tmp_path / "secret.jpg").write_bytes(b"x")
    assert pictures.open_path(relative) is None
    pictures.remove(relative)
    assert (tmp_path / "secret.jpg").exists()


def test_a_link_that_leads_out_is_not_opened(tmp_path: Path) -> None:
    pictures = opened(tmp_path)
    (tmp_path / "secret").write_bytes(b"x")
    (tmp_path / "pictures" / "2026-11-27").mkdir(parents=True)
    (tmp_path / "pictures" / "2026-11-27" / "one-crop.jpg").symlink_to(tmp_path / "secret")
    assert pictures.open_path("2026-11-27/one-crop.jpg") is None


def test_too_little_room_is_said_once_and_again_when_it_is_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pictures = opened(tmp_path, free_gigabytes=1e6)
    with caplog.at_level(logging.WARNING, "edge_lpr"):
        for _ in range(3):
            assert pictures.put("one", "2026-11-27", "crop", frame()) is None
        assert "free_gigabytes = 1e+06" in pictures.state and pictures.dropped == 3
        pictures.reload(RetentionSettings.model_validate({"free_gigabytes": 0}))
        assert pictures.put("one", "2026-11-27", "crop", frame()) is not None
        assert pictures.put("two", "2026-11-27", "crop", frame()) is not None
    assert pictures.state == ""
    assert [record.message.split(";")[0].split(":")[0] for record in caplog.records] == [
        "no pictures are kept",
        "pictures are kept again",
    ]
    assert "3 were dropped" in caplog.text


def test_none_is_written_for_a_minute_after_one_could_not_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    pictures = Pictures(tmp_path, RetentionSettings.model_validate({"free_gigabytes": 1}), clock)
    monkeypatch.setattr(pictures, "free", lambda: 0.5)
    assert pictures.put("one", "2026-11-27", "crop", frame()) is None
    monkeypatch.setattr(pictures, "free", lambda: 2.0)
    clock.now += 59
    assert pictures.put("one", "2026-11-27", "crop", frame()) is None
    assert "0.5 GB are free" in pictures.state
    clock.now += 2
    assert pictures.put("one", "2026-11-27", "crop", frame()) is not None
    assert (pictures.state, pictures.dropped) == ("", 2)


@pytest.mark.parametrize("lasting", [False, True])
def test_whatever_fails_on_the_disk_leaves_the_old_picture_or_the_new_one(
    tmp_path: Path, lasting: bool
) -> None:
    for disk in failing_disks(lasting):
        shutil.rmtree(tmp_path / "pictures", ignore_errors=True)
        pictures = opened(tmp_path)
        old = pictures.put("one", "2026-11-27", "crop", frame(10))
        assert old is not None
        with disk:
            put = pictures.put("one", "2026-11-27", "crop", frame(200), old.path)
        path = pictures.open_path(old.path)
        assert path is not None
        assert abs(int(read_image(path).mean()) - (10 if put is None else 200)) <= 1
        assert (put is None) == bool(pictures.state)
        assert parts_in(tmp_path) == []


def test_what_cannot_be_encoded_is_said(tmp_path: Path) -> None:
    pictures = opened(tmp_path)
    assert pictures.put("one", "2026-11-27", "frame", np.zeros((1, 70_000, 3), np.uint8)) is None
    assert pictures.state.startswith("no pictures are kept: ")


def test_pictures_of_no_event_are_kept_until_they_are_due(tmp_path: Path) -> None:
    base = database(tmp_path / "events.db")
    pictures = opened(tmp_path)
    for day in range(20, 28):
        for name in ("known", "stray"):
            put = pictures.put(f"{name}-{day}", f"2026-11-{day}", "crop", frame())
            assert put is not None
            if name == "known":
                with base.transaction() as tx:
                    note(tx, put)
    last = tmp_path / "pictures" / "2026-11-27"
    (last / ".one-crop.jpg.123-4.part").write_bytes(b"half")
    (last / "notes.txt").write_text("somebody's")
    # The next start after a kill, or with a copy of the database that was made before these events.
    assert pictures.adopt_strays(base) == 3
    assert sorted(path.name for path in last.iterdir()) == [
        "known-27-crop.jpg",
        "notes.txt",
        "stray-27-crop.jpg",
    ]
    assert pictures.adopt_strays(base) == 0
    # Older days are not walked.
    assert (tmp_path / "pictures" / "2026-11-20" / "stray-20-crop.jpg").exists()
    assert opened(tmp_path / "nowhere").adopt_strays(base) == 0


def test_pictures_of_another_database_stay(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pictures = opened(tmp_path)
    old = pictures.put("old", "2026-11-26", "crop", frame())
    assert old is not None
    os.utime(tmp_path / "pictures" / old.path, (time.time() - 10,) * 2)
    base = database(tmp_path / "events.db")  # the one that knew it was moved away
    assert pictures.adopt_strays(base) == 0
    assert "no picture in it is known to events.db" in caplog.text
    new = pictures.put("new", "2026-11-27", "crop", frame())
    stray = pictures.put("stray", "2026-11-27", "crop", frame())
    assert new is not None and stray is not None
    with base.transaction() as tx:
        note(tx, new)
    assert pictures.adopt_strays(base) == 1
    assert pictures.open_path(old.path) and pictures.open_path(new.path)
    assert pictures.open_path(stray.path)
    rows = base.reader().execute("SELECT path FROM pictures ORDER BY path").fetchall()
    assert [row["path"] for row in rows] == sorted([new.path, stray.path])


def test_a_crop_keeps_more_than_a_frame(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 200, 3), np.uint8)
    smooth = cv2.GaussianBlur(noise, (5, 5), 0)
    pictures, image = opened(tmp_path), np.asarray(smooth, np.uint8)
    crop = pictures.put("one", "2026-11-27", "crop", image)
    whole = pictures.put("one", "2026-11-27", "frame", image)
    assert crop is not None and whole is not None and crop.bytes > whole.bytes
