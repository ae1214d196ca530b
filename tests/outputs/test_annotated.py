"""Annotated images and videos."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_lpr.errors import OutputError, SettingError
from edge_lpr.io.drawing import draw_reads
from edge_lpr.io.sources import Target, find_targets
from edge_lpr.io.video_io import VideoFile
from edge_lpr.outputs import AnnotatedOutput, RunInfo
from edge_lpr.pipeline.stream import FrameResult

Make = Callable[..., Any]


def make_images(tmp_path: Path, *names: str) -> list[Target]:
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imencode(path.suffix, np.full((120, 160, 3), 90, np.uint8))[1].tofile(path)
    return find_targets(tmp_path)


def frames_in(video: Path) -> float:
    capture = cv2.VideoCapture(str(video))
    count = capture.get(cv2.CAP_PROP_FRAME_COUNT)
    capture.release()
    return count


def test_annotated_images_keep_their_place_and_name(
    tmp_path: Path, a_read: Make, a_source: Make, a_frame: Make
) -> None:
    targets = make_images(tmp_path / "in", "1.png", "b/1.png")
    source = a_source("in", is_image=True)
    source.root = targets[0].root
    with AnnotatedOutput(tmp_path / "out", RunInfo(targets)) as out:
        for i, path in enumerate(targets[0].paths):
            out.write(FrameResult(source, a_frame(i, None, str(path)), [a_read()], [], False), [])
    saved = sorted(p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.png"))
    assert saved == ["1.png", "b/1.png"]
    image = cv2.imread(str(tmp_path / "out" / "1.png"))
    assert image is not None and image.shape == (120, 160, 3) and (image != 90).any()


def test_one_image_into_one_file(tmp_path: Path, a_read: Make, a_source: Make, a_frame: Make) -> None:
    targets = make_images(tmp_path / "in", "1.png")
    frame = a_frame(0, None, str(targets[0].paths[0]))
    found = FrameResult(a_source("in", is_image=True), frame, [a_read()], [], False)
    AnnotatedOutput(tmp_path / "new" / "read.jpg", RunInfo(targets)).write(found, [])
    assert (tmp_path / "new" / "read.jpg").is_file()
    assert (frame.image == 90).all()  # drawn into a copy


def test_annotated_videos(tmp_path: Path, a_read: Make, a_source: Make, a_frame: Make) -> None:
    target = Target("video", "street.avi", (tmp_path / "street.avi",))
    for name, written in (("out", "out/street.mp4"), ("one.avi", "one.avi")):
        out = AnnotatedOutput(tmp_path / name, RunInfo([target]))
        source = a_source("street.avi")
        for i in range(5):
            out.write(FrameResult(source, a_frame(i, i / 25), [a_read()], [], True), [])
        out.write(FrameResult(source, None, [], [], True), [])
        assert not (tmp_path / written).exists()
        out.finish(source)
        assert frames_in(tmp_path / written) == 5


def test_a_video_shows_what_is_known_of_a_vehicle(
    tmp_path: Path, a_read: Make, a_source: Make, a_frame: Make
) -> None:
    raw, known = a_read(text="津A13H25"), a_read(text="京A13H25")
    expected = {}
    for name, reads in (("raw", [raw]), ("known", [known]), ("nothing", [a_read(text="")])):
        expected[name] = a_frame().image.copy()
        draw_reads(expected[name], reads)
    assert not (expected["raw"] == expected["known"]).all()
    for name, reads in (("known", [known]), ("nothing", [a_read(text="")]), ("raw", None)):
        drawn: list[Any] = []
        with AnnotatedOutput(tmp_path / name) as out, pytest.MonkeyPatch.context() as patched:
            patched.setattr(VideoFile, "write", lambda self, image, *times, drawn=drawn: drawn.append(image))
            out.write(FrameResult(a_source(), a_frame(), [raw], [], reads is not None, known=reads), [])
        assert (drawn[0] == expected[name]).all()


def test_closing_completes_every_video(tmp_path: Path, a_source: Make, a_frame: Make) -> None:
    with AnnotatedOutput(tmp_path) as out:
        for name in ("a.mp4", "b.mp4"):
            out.write(FrameResult(a_source(name), a_frame(0, 0.0), [], [], True), [])
        (tmp_path / "a.mp4").mkdir()
        with pytest.raises(OutputError, match=r"a\.mp4: cannot be written"):
            out.close()
    assert frames_in(tmp_path / "b.mp4") == 1


def test_a_camera_s_video_is_never_replaced(tmp_path: Path, a_source: Make, a_frame: Make) -> None:
    camera = a_source("camera 0", started=1_700_000_000.0, live=True)
    run = RunInfo([Target("camera", "camera 0", address="0")], live=True)
    with AnnotatedOutput(tmp_path, run) as out:
        out.write(FrameResult(camera, a_frame(0, 0.0), [], [], True), [])
    assert (tmp_path / "camera_0-20231114T221320Z.mp4").is_file()


def test_saving_over_the_sources_is_refused(tmp_path: Path, a_source: Make, a_frame: Make) -> None:
    targets = make_images(tmp_path, "1.png")
    for out in (tmp_path, tmp_path / "1.png"):
        with pytest.raises(SettingError, match="would overwrite"):
            AnnotatedOutput(out, RunInfo(targets))
        alone = AnnotatedOutput(out)
        frame = a_frame(0, None, str(tmp_path / "1.png"))
        with pytest.raises(SettingError, match="would overwrite"):
            alone.write(FrameResult(a_source("in", is_image=True), frame, [], [], False), [])


@pytest.mark.parametrize(
    ("names", "out", "message"),
    [
        (("1.png", "2.png"), "out.png", "does not fit several sources; give a folder"),
        (("1.png",), "out.mp4", "does not fit an image"),
        (("1.png",), "out.xyz", "cannot be written as .xyz; use one of .bmp, .jpeg.* or a folder, with a /"),
        (("1.png",), "out.gif", "cannot be written as .gif; use one of .bmp, .jpeg"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(
    tmp_path: Path, names: tuple[str, ...], out: str, message: str
) -> None:
    targets = make_images(tmp_path / "in", *names)
    with pytest.raises(SettingError, match=message):
        AnnotatedOutput(tmp_path / out, RunInfo(targets))


def test_a_second_source_does_not_replace_the_first_in_one_file(
    tmp_path: Path, a_source: Make, a_frame: Make
) -> None:
    with AnnotatedOutput(tmp_path / "read.png") as out:
        first, second = (
            FrameResult(a_source("in", is_image=True), a_frame(i, None, f"{i}.png"), [], [], False)
            for i in (0, 1)
        )
        out.write(first, [])
        with pytest.raises(OutputError, match="does not fit several sources"):
            out.write(second, [])


def test_what_cannot_be_written_as_it_is_becomes_another_format(
    tmp_path: Path, a_read: Make, a_source: Make, a_frame: Make
) -> None:
    names = ["a.heic", "b.avif", "c.jp2", "d.jfif", "e.JPE", "f.ppm", "g.gif", "h", "v1.2", "a.jpg", "i.HEIC"]
    wanted = ["a-2.jpg", "a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg", "f.png", "g.png", "h.jpg", "i.jpg"]
    folder = tmp_path / "in"
    folder.mkdir()
    for name in names:
        (folder / name).write_bytes(b"")
    told: list[str] = []
    target = Target("images", "in", tuple(folder / name for name in names), root=folder)
    source = a_source("in", is_image=True)
    source.root = folder
    with AnnotatedOutput(tmp_path / "out", RunInfo([target], on_note=told.append)) as out:
        for i, path in enumerate(target.paths):
            out.write(FrameResult(source, a_frame(i, None, str(path)), [a_read()], [], False), [])
    saved = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert saved == [*wanted, "v1.2.jpg"]
    assert all(cv2.imread(str(path)) is not None for path in (tmp_path / "out").iterdir())
    assert len(told) == 9 and told[0] == "--save: .heic is written as .jpg, and so are all such"
    assert "--save: what has no suffix is written as .jpg, and so are all such" in told


def test_a_picture_too_large_for_its_format_becomes_another(
    tmp_path: Path, a_read: Make, a_source: Make, a_frame: Make
) -> None:
    path = tmp_path / "in" / "wide.webp"
    path.parent.mkdir()
    path.write_bytes(b"")
    told: list[str] = []
    image = np.full((4, 17_000, 3), 90, np.uint8)
    frame = replace(a_frame(0, None, str(path)), image=image)
    found = FrameResult(a_source("in", is_image=True), frame, [], [], False)
    info = RunInfo([Target("images", "in", (path,))], on_note=told.append)
    with AnnotatedOutput(tmp_path / "out", info) as out:
        out.write(found, [])
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["wide.png"]
    assert told == [f"--save: {path}: 17000×4 pixels cannot be encoded as .webp, and are written as .png"]
    with (
        AnnotatedOutput(tmp_path / "one.webp", info) as out,
        pytest.raises(OutputError, match=r"one\.webp: 17000×4 pixels cannot be encoded as \.webp"),
    ):
        out.write(found, [])


@pytest.mark.parametrize("name", ["a.heic", "a.gif", "a.ppm"])
def test_a_format_that_is_not_written_is_refused_by_name(tmp_path: Path, name: str) -> None:
    target = Target("images", "p", (tmp_path / "p.png",))
    with pytest.raises(SettingError, match=r"cannot be written as \.\w+; use one of \.bmp, \.jpeg"):
        AnnotatedOutput(tmp_path / name, RunInfo([target]))
