"""What a user names, and what is found there."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_lpr.errors import SourceError
from edge_lpr.io.capture_options import CaptureOptions
from edge_lpr.io.sources import Target, find_targets, open_source, told_apart


def make_image(path: Path, value: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imencode(path.suffix, np.full((8, 8, 3), value, np.uint8))[1].tofile(path)
    return path


def test_a_target_does_not_show_its_address() -> None:
    target = find_targets("rtsp://admin:secret@10.0.0.5/1")[0]
    assert target.kind == "address" and target.live
    assert "secret" not in repr(target) + target.label
    assert target.address == "rtsp://admin:secret@10.0.0.5/1"


def test_what_is_live_may_have_a_name() -> None:
    for source, kind in (
        ("gate=0", "camera"),
        ("gate=rtsp://u:secret@h/1", "address"),
        ("gate=a ! b", "pipeline"),
    ):
        (target,) = find_targets(source)
        assert (target.label, target.kind, target.named) == ("gate", kind, True) and "secret" not in repr(
            target
        )
    with pytest.raises(SourceError, match="gate: neither an address, a pipeline nor a camera"):
        find_targets("gate=${HOME}")


def test_live_targets_can_be_told_apart() -> None:
    targets = [t for n in (1, 2, 3) for t in find_targets(f"rtsp://h/cam?channel={n}")]
    labels = [t.label for t in told_apart(targets)]
    assert labels == ["rtsp://h/cam?***", "rtsp://h/cam?*** #2", "rtsp://h/cam?*** #3"]
    images = [Target("images", "a.png"), Target("images", "a.png")]
    assert told_apart(images) == images
    with pytest.raises(SourceError, match="gate: the name of two sources; give each its own"):
        told_apart([*find_targets("gate=0"), *find_targets("gate=1")])


@pytest.mark.parametrize(
    "text", ["rtsp:/u:secret@h", "u:secret@h/1", "se@cret/1", "h/v?user=u&password=secret"]
)
def test_a_slip_of_an_address_says_what_one_looks_like(text: str) -> None:
    with pytest.raises(SourceError, match="no file, and no address; one begins with rtsp://") as caught:
        find_targets(text)
    assert "secret" not in str(caught.value) and "cret" not in str(caught.value).split(":")[0]


def test_a_folder_is_read_in_natural_order_with_its_subfolders(tmp_path: Path) -> None:
    for name in ("frame10.png", "frame2.png", "b/1.jpg", ".hidden.png", ".git/1.png"):
        make_image(tmp_path / name)
    (tmp_path / "clip.mp4").write_bytes(b"\0")
    (tmp_path / "notes.txt").write_text("x")
    images, video = find_targets(tmp_path)
    names = [p.relative_to(tmp_path).as_posix() for p in images.paths]
    assert names == ["b/1.jpg", "frame2.png", "frame10.png"]
    assert images.root == tmp_path and video.kind == "video" and video.paths == (tmp_path / "clip.mp4",)


def test_linked_folders_cannot_make_a_loop(tmp_path: Path) -> None:
    make_image(tmp_path / "a" / "1.png")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    assert len(find_targets(tmp_path)[0].paths) == 1


def test_globs(tmp_path: Path) -> None:
    make_image(tmp_path / "a" / "1.png")
    make_image(tmp_path / "b" / "2.png")
    assert len(find_targets(f"{tmp_path}/*/*.png")[0].paths) == 2
    assert len(find_targets(f"{tmp_path}/**/1.*")[0].paths) == 1
    with pytest.raises(SourceError, match=r"matches no image or video"):
        find_targets(f"{tmp_path}/*.jpg")


def test_a_file_with_brackets_in_its_name_is_itself(tmp_path: Path) -> None:
    path = make_image(tmp_path / "car[1].png")
    assert find_targets(path)[0].paths == (path,)


def test_a_file_named_like_a_number_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_targets("0")[0].kind == "camera"
    assert find_targets(0)[0].label == "camera 0"
    make_image(Path("0.png")).rename("0")
    assert find_targets("0")[0].kind == "images"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected an image, folder"),
        ("a\0b", "expected an image, folder"),
        ("none.mp4", "no such file or folder"),
        ("x" * 5000, "no such file or folder"),
        ("file:///etc/passwd", "addresses start with rtsp://"),
        ("concat://a:secret@b", "addresses start with rtsp://"),
        ("/dev/null/x", "no such file or folder"),
    ],
)
def test_what_is_no_source_is_named(text: str, message: str) -> None:
    with pytest.raises(SourceError, match=message) as caught:
        find_targets(text)
    assert "secret" not in str(caught.value)


def test_an_empty_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no image or video in this folder"):
        find_targets(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_named_pipe_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(SourceError, match="neither a file nor a folder"):
        find_targets(tmp_path / "pipe.mp4")
    with pytest.raises(SourceError, match="no image or video"):
        find_targets(tmp_path)


def test_a_bad_image_leaves_the_others(tmp_path: Path) -> None:
    for i in range(3):
        make_image(tmp_path / f"{i}.png", i)
    (tmp_path / "1.png").write_bytes(b"")
    problems: list[str] = []
    with open_source(tmp_path, on_warning=problems.append) as source:
        frames = list(source)
    assert [(f.index, int(f.image[0, 0, 0]), f.time) for f in frames] == [(0, 0, None), (2, 2, None)]
    assert source.total == 3 and source.skipped == 1 and source.state == "done" and source.is_image
    assert len(problems) == 1 and "1.png: the file is empty" in problems[0]


def test_the_stride_passes_over_images(tmp_path: Path) -> None:
    for i in range(5):
        make_image(tmp_path / f"{i}.png", i)
    with open_source(tmp_path, CaptureOptions(stride=2)) as source:
        assert [(int(f.image[0, 0, 0]), source.received) for f in source] == [(0, 2), (2, 4), (4, 5)]


def test_several_targets_are_not_one_source(tmp_path: Path) -> None:
    make_image(tmp_path / "1.png")
    (tmp_path / "1.mp4").write_bytes(b"\0")
    with pytest.raises(SourceError, match="2 sources"):
        open_source(tmp_path)


@pytest.mark.parametrize("name", ["clip.mp4", "notes.txt"])
def test_text_is_no_video(tmp_path: Path, name: str) -> None:
    # FFmpeg would draw notes.txt as a video.
    path = tmp_path / name
    path.write_text("some notes\n\n")
    with pytest.raises(SourceError, match="a text file; expected a video"):
        open_source(path)


def test_a_video_that_may_look_like_text(tmp_path: Path) -> None:
    path = tmp_path / "v.y4m"
    path.write_bytes(b"YUV4MPEG2 W64 H48 F25:1 Ip A1:1 C420\n" + 3 * (b"FRAME\n" + b"U" * (64 * 48 * 3 // 2)))
    with open_source(path) as source:
        assert len(list(source)) == 3


def test_an_empty_video_is_named(tmp_path: Path) -> None:
    path = tmp_path / "zero.mp4"
    path.touch()
    with pytest.raises(SourceError, match=r"zero.mp4: the file is empty \(0 bytes\)"):
        open_source(path)


def test_a_pipeline_needs_gstreamer() -> None:
    if cv2.videoio_registry.hasBackend(cv2.CAP_GSTREAMER):
        pytest.skip("this OpenCV has GStreamer")
    with pytest.raises(SourceError, match=r"user-pw=.*: a GStreamer pipeline, and this OpenCV") as caught:
        open_source("rtspsrc user-pw=secret ! appsink")
    assert "secret" not in str(caught.value)


def test_no_camera_is_named() -> None:
    if Path("/dev/video97").exists():
        pytest.skip("this machine has 98 cameras")
    expected = pytest.raises(SourceError, match="camera 97: cannot be opened: no camera there")
    with open_source(97, CaptureOptions(reconnect=0)) as source, expected:
        list(source)


def test_what_is_closed_in_a_tree_is_named_and_the_rest_is_found(nobody: Path) -> None:
    for name in ("tree/a.jpg", "tree/shut/b.jpg", "tree/open/c.jpg", "alone/d.jpg"):
        (nobody / name).parent.mkdir(parents=True, exist_ok=True)
        (nobody / name).touch()
    (nobody / "tree" / "shut").chmod(0o600)
    (nobody / "alone").chmod(0)
    shut = f"{nobody / 'tree' / 'shut'}: cannot be read (Permission denied)"
    for source in ("tree", "tree/**/*.jpg", "tree/*/*.jpg", "tree/[os]*/*.jpg"):
        said: list[str] = []
        (target,) = find_targets(nobody / source, said.append)
        assert [line.replace("/b.jpg", "") for line in said] == [shut], source
        assert {path.name for path in target.paths} <= {"a.jpg", "c.jpg"}
    for source in ("alone", "alone/*.jpg", "alone/d.jpg"):
        denied = r"alone(/d\.jpg)?: cannot be read \(Permission denied\)"
        with pytest.raises(SourceError, match=denied):
            find_targets(nobody / source, said.append)


def test_the_longest_names_are_found(tmp_path: Path) -> None:
    names = {"n" * 251 + ".jpg", "车" * 83 + ".jpg"}
    for name in names:
        (tmp_path / name).touch()
    (target,) = find_targets(tmp_path)
    assert {path.name for path in target.paths} == names


@pytest.mark.parametrize("pattern", ["**", "**/*.png", "[p]ictures/**/*.png", "**/**/b.png", "*/folder/**"])
def test_links_that_lead_round_are_gone_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = Path("pictures/folder")
    folder.mkdir(parents=True)
    for path in (Path("pictures/a.png"), folder / "b.png"):
        cv2.imwrite(str(path), np.zeros((8, 8, 3), np.uint8))
    for number in range(3):  # each doubles the ways at each of forty levels
        (folder / f"up{number}").symlink_to("..")
    (target,) = find_targets(pattern)
    wanted = {"**/**/b.png": ["b.png"], "*/folder/**": ["b.png"]}.get(pattern, ["a.png", "b.png"])
    assert [path.name for path in target.paths] == wanted
