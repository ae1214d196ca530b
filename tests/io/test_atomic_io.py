"""Files that are complete, or not there under their name."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_lpr.errors import OutputError
from edge_lpr.io.atomic_io import TextFile, VideoFile, create_folder, safe_name, unique, write_image

FULL = Path("/dev/full")


def test_a_file_takes_its_name_when_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "结果 1.jsonl"
    path.write_text("older")
    file = TextFile(path)
    file.write("车牌\n")
    assert path.read_text(encoding="utf-8") == "older"
    aside = [p for p in tmp_path.iterdir() if p != path]
    assert len(aside) == 1 and aside[0].read_text(encoding="utf-8") == "车牌\n"  # written through already
    file.close()
    file.close()
    assert path.read_text(encoding="utf-8") == "车牌\n" and list(tmp_path.iterdir()) == [path]
    with pytest.raises(OutputError, match="already closed"):
        file.write("x")


def test_appending_keeps_what_was_there_and_repairs_half_a_line(tmp_path: Path) -> None:
    path = tmp_path / "live.jsonl"
    first = TextFile(path, append=True)
    assert first.empty
    first.write("1\n")
    assert path.read_text() == "1\n"  # readable while it runs
    first.close()
    with path.open("a") as file:
        file.write('{"half')
    second = TextFile(path, append=True)
    assert not second.empty
    second.write("2\n")
    second.close()
    assert path.read_text() == '1\n{"half\n2\n'


def test_a_mark_for_excel_stands_at_the_start_alone(tmp_path: Path) -> None:
    for _ in range(2):
        file = TextFile(tmp_path / "a.csv", append=True, bom=True)
        file.write("车\n")
        file.close()
    assert (tmp_path / "a.csv").read_bytes() == b"\xef\xbb\xbf" + "车\n车\n".encode()


def test_text_that_is_no_unicode_is_escaped(tmp_path: Path) -> None:
    file = TextFile(tmp_path / "a")
    file.write("bad \udcff name\n")
    file.close()
    assert (tmp_path / "a").read_bytes() == b"bad \\udcff name\n"


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    file = TextFile(tmp_path / "link")
    file.close()
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").is_file()


def test_missing_folder_and_folder_in_place_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"there is no folder .*none; create it first"):
        TextFile(tmp_path / "none" / "a.csv")
    with pytest.raises(OutputError, match="it is a folder; expected a file"):
        TextFile(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write anywhere")
def test_no_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="Permission denied"):
        TextFile(tmp_path / "a.csv")


@pytest.mark.skipif(not FULL.exists(), reason="needs /dev/full")
def test_a_full_disk_is_named() -> None:
    file = TextFile(FULL)
    with pytest.raises(OutputError, match=r"/dev/full: cannot be written \(No space left on device\)"):
        file.write("x\n")
    file.close()


def test_a_disk_that_fills_up_leaves_whole_lines(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    signal = pytest.importorskip("signal")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    file = TextFile(tmp_path / "a.jsonl")
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
        with pytest.raises(OutputError, match=r"a\.jsonl: cannot be written \(File too large\)"):
            for _ in range(50):
                file.write("0123456789abcde\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    file.close()
    assert (tmp_path / "a.jsonl").read_text() == "0123456789abcde\n" * 6


def test_images_by_suffix_in_any_path(tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    path = tmp_path / "中文 车.png"
    write_image(path, image)
    assert np.array_equal(cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR), image)
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(OutputError, match=r"20000×1 pixels cannot be encoded as \.webp"):
        write_image(tmp_path / "a.webp", np.zeros((1, 20_000, 3), np.uint8))
    with pytest.raises(OutputError, match="there is no folder"):
        write_image(tmp_path / "none" / "a.png", image)


@pytest.mark.parametrize("suffix", [".mp4", ".avi", ".mkv"])
def test_videos_hold_what_was_written(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"视频 1{suffix}"
    video = VideoFile(path, 25, live=False)
    for i in range(10):
        video.write(np.full((48, 64, 3), i * 20, np.uint8), i / 25)
    assert not path.exists()
    video.close()
    video.close()
    check = cv2.VideoCapture(str(path))
    assert check.get(cv2.CAP_PROP_FRAME_COUNT) == 10 and check.get(cv2.CAP_PROP_FPS) == 25
    check.release()
    assert list(tmp_path.iterdir()) == [path]


def test_a_live_video_runs_as_long_as_the_camera_did(tmp_path: Path) -> None:
    video = VideoFile(tmp_path / "a.avi", 10, live=True)
    for seconds in (0.0, 0.5, 1.0):
        video.write(np.zeros((48, 64, 3), np.uint8), seconds)
    video.write(np.zeros((96, 64, 3), np.uint8), 60.0)  # lost for a minute, and back with another size
    video.close()
    check = cv2.VideoCapture(str(tmp_path / "a.avi"))
    assert check.get(cv2.CAP_PROP_FRAME_COUNT) == 1 + 5 + 5 + 20
    check.release()


def test_a_video_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"a video is written as \.mp4"):
        VideoFile(tmp_path / "a.gif", 25, live=False)
    video = VideoFile(tmp_path / "none" / "a.mp4", 25, live=False)
    with pytest.raises(OutputError, match="cannot write a video of 64×48 pixels there"):
        video.write(np.zeros((48, 64, 3), np.uint8), 0)
    video.close()


def test_a_video_that_lost_frames_is_found_out(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    signal = pytest.importorskip("signal")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    rng = np.random.default_rng(0)
    video = VideoFile(tmp_path / "a.avi", 25, live=False)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
        for i in range(200):
            video.write(rng.integers(0, 256, (96, 128, 3), dtype=np.uint8), i / 25)
        with pytest.raises(OutputError, match=r"holds \d+ of 200 frames; is the disk full"):
            video.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_folders_are_made_and_tried(tmp_path: Path) -> None:
    create_folder(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file: cannot be written"):
        create_folder(tmp_path / "file")


def test_names_are_safe_and_unique() -> None:
    assert safe_name("rtsp://user:***@10.0.0.5/1?x=../../etc") == "rtsp_user_10.0.0.5_1_x_.._.._etc"
    assert safe_name("皖A·D1234") == "皖A·D1234" and safe_name("../") == "_"
    taken: set[str] = set()
    assert [unique(n, taken) for n in ("a.png", "A.png", "a.png")] == ["a.png", "A-2.png", "a-3.png"]
