"""What is read of a folder, and what is said of the rest."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.extras import reason
from helpers.pictures import animated_gif, encoded, quarters

from edge_lpr.errors import SourceError
from edge_lpr.io.folders import left_out_line, sort_files
from edge_lpr.io.sources import find_targets, open_source


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """A folder of pictures and videos of all names, and other files."""
    pytest.importorskip("pillow_heif", reason=reason("pillow_heif", "heif"))
    folder = tmp_path / "mixed"
    folder.mkdir()
    files = {
        "a.jfif": "JPEG",
        "b.heic": "HEIF",
        "c.avif": "AVIF",
        "d.jp2": "JPEG2000",
        "e.PPM": "PPM",
        "f": "PNG",
        "g.dat": "JPEG",
        "h.jpg": "HEIF",
        "i.webp": "WEBP",
        "j.bmp": "BMP",
        "k.tiff": "TIFF",
    }
    for name, kind in files.items():
        (folder / name).write_bytes(encoded(quarters(), kind))
    (folder / "l.gif").write_bytes(animated_gif(7))
    (folder / "m.gif").write_bytes(animated_gif(7, 80, 160))
    writer = cv2.VideoWriter(str(folder / "n.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    for value in (10, 90):
        writer.write(np.full((48, 64, 3), value, np.uint8))
    writer.release()
    (folder / "n.avi").rename(folder / "n")
    for name in ("1.txt", "2.TXT", "labels.xml", "README"):
        (folder / name).write_text("nothing to see\n", encoding="utf-8")
    (folder / "raw.nef").write_bytes(encoded(quarters(), "TIFF"))
    return folder


def test_nothing_is_left_out_of_a_folder_without_a_word(mixed: Path) -> None:
    told: list[tuple[str, Counter[str]]] = []
    targets = find_targets(mixed, on_left_out=lambda *left: told.append(left))
    assert [path.name for path in targets[0].paths] == [
        *("a.jfif", "b.heic", "c.avif", "d.jp2", "e.PPM", "f", "g.dat", "h.jpg", "i.webp", "j.bmp"),
        *("k.tiff", "l.gif"),
    ]
    assert [(t.kind, t.paths[0].name) for t in targets[1:]] == [("video", "m.gif"), ("video", "n")]
    assert told == [(str(mixed), {".txt": 2, ".xml": 1, "": 1, ".nef": 1})]
    problems: list[str] = []
    with open_source(targets[0], on_warning=problems.append) as source:
        assert len(list(source)) == 12 and problems == []
    for target, frames in zip(targets[1:], (3, 2), strict=True):
        with open_source(target, on_warning=problems.append) as source:
            assert len(list(source)) == frames and problems == []


def test_what_a_pattern_matches_beside_is_counted_too(mixed: Path) -> None:
    told: list[Counter[str]] = []
    (target,) = find_targets(f"{mixed}/[a1]*", on_left_out=lambda _, left: told.append(left))
    assert [path.name for path in target.paths] == ["a.jfif"] and told == [{".txt": 1}]


def test_without_a_listener_the_log_says_it(mixed: Path, caplog: pytest.LogCaptureFixture) -> None:
    find_targets(mixed)
    assert len(caplog.messages) == 1 and caplog.messages[0].startswith(f"{mixed}: left out: 2 .txt, ")
    assert {"1 .xml", "1 .nef", "1 without a suffix"} <= set(caplog.messages[0].split(", "))


@pytest.mark.parametrize("name", ["clip.jpg", "clip", "clip.dat"])
def test_a_file_that_is_named_is_what_its_content_says(mixed: Path, name: str) -> None:
    path = mixed / name
    path.write_bytes((mixed / "n").read_bytes())
    assert [target.kind for target in find_targets(path)] == ["video"]
    path.write_bytes((mixed / "b.heic").read_bytes())
    assert [target.kind for target in find_targets(path)] == ["images"]


def test_a_video_with_a_picture_s_name_is_named(mixed: Path) -> None:
    (mixed / "f.png").write_bytes((mixed / "n").read_bytes())
    problems: list[str] = []
    with open_source(find_targets(mixed)[0], on_warning=problems.append) as source:
        assert len(list(source)) == 12
    assert len(problems) == 1 and "f.png: not an image that edge-lpr reads" in problems[0]
    assert problems[0].endswith("found a video (AVI)")


def test_a_folder_without_any_says_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("x")
    told: list[Counter[str]] = []
    with pytest.raises(SourceError, match=r"no image or video in this folder"):
        find_targets(tmp_path, on_left_out=lambda _, left: told.append(left))
    assert told == [{".txt": 1}]


def test_many_suffixes_are_one_line() -> None:
    line = left_out_line({f".s{n}": 20 - n for n in range(20)})
    assert line.startswith("left out: 20 .s0, 19 .s1, ") and line.endswith(" 9 .s11, 36 others")


def test_what_cannot_be_looked_into_is_a_problem(tmp_path: Path) -> None:
    problems: list[str] = []
    found = sort_files([tmp_path / "gone.dat", tmp_path / "gone.jpg"], problems.append)
    assert [path.name for path in found.images] == ["gone.jpg"]
    assert problems == [f"{tmp_path / 'gone.dat'}: cannot be read (No such file or directory)"]
