"""JSON lines, tables, crops and annotated images."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_lpr.errors import OutputError, SettingError
from edge_lpr.io.atomic_io import TextFile
from edge_lpr.io.sources import Target, find_targets
from edge_lpr.outputs.records import FIELDS, Result, to_record
from edge_lpr.outputs.sinks import CropSink, CsvSink, JsonlSink, SaveSink
from edge_lpr.pipeline.stream import FrameResult

Make = Callable[..., Any]
NAMES = [name for name, _, _ in FIELDS]


def test_json_lines_hold_no_nan_and_are_plain_utf8(a_read: Make, a_source: Make, a_frame: Make) -> None:
    out = io.StringIO()
    item = a_read(score=math.nan, min_score=math.inf, corners=np.full((4, 2), np.nan, np.float32))
    JsonlSink(out).write(to_record(Result(a_source(), a_frame(), item, "street.mp4")))

    def refuse(text: str) -> float:
        raise AssertionError(text)

    line = json.loads(out.getvalue(), parse_constant=refuse)
    assert line["score"] is None and line["min_score"] is None and line["corners"] == [[None, None]] * 4
    assert "皖A13H25" in out.getvalue() and out.getvalue().count("\n") == 1


def test_a_csv_table_opens_in_excel_and_reads_back(tmp_path: Path, an_event: Make, a_source: Make) -> None:
    sink = CsvSink(TextFile(tmp_path / "a.csv", bom=True))
    sink.write(to_record(Result(a_source(), None, an_event(), 'a, "b"\nc.mp4')))
    sink.close()
    assert (tmp_path / "a.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    with (tmp_path / "a.csv").open(encoding="utf-8-sig", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["source"] == 'a, "b"\nc.mp4' and row["text"] == "皖A13H25" and row["first_utc"] == ""
    assert [float(row[f"{axis}{i}"]) for i in (1, 2, 3, 4) for axis in "xy"] == [
        10,
        20,
        110,
        20,
        110,
        50,
        10,
        50,
    ]
    assert row["char_scores"] == "0.8 1.0"
    expected = [
        n
        for name in NAMES
        for n in ([f"{a}{i}" for i in range(1, 5) for a in "xy"] if name == "corners" else [name])
    ]
    assert list(row) == expected


@pytest.mark.parametrize("name", ["=cmd|'/c calc'!A1", "+1", "-1", "@SUM(1)", "\t=1", "\r=1"])
def test_a_csv_cell_is_never_a_formula(name: str, an_event: Make, a_source: Make) -> None:
    out = io.StringIO()
    CsvSink(out, header=False).write(to_record(Result(a_source(), None, an_event(text=name), name)))
    (row,) = csv.reader(io.StringIO(out.getvalue(), newline=""))
    assert row[2] == "'" + name and row[3] == "'" + name


def test_crops_are_named_by_source_frame_and_text(tmp_path: Path, an_event: Make, a_source: Make) -> None:
    sink = CropSink(tmp_path / "crops")
    source = a_source("dir/street.mp4")
    names = [sink.write(Result(source, None, an_event(), "dir/street.mp4")) for _ in range(2)]
    assert names == ["street-000031-皖A13H25.png", "street-000031-皖A13H25-2.png"]
    data = np.fromfile(tmp_path / "crops" / str(names[0]), np.uint8)
    assert cv2.imdecode(data, cv2.IMREAD_COLOR).shape == (30, 100, 3)
    assert sink.write(Result(source, None, an_event(crop=None), "dir/street.mp4")) is None


def test_a_crop_of_a_read_and_of_a_camera(
    tmp_path: Path, a_read: Make, an_event: Make, a_source: Make, a_frame: Make
) -> None:
    sink = CropSink(tmp_path)
    assert (
        sink.write(Result(a_source(), a_frame(7, None, "a/车 1.jpg"), a_read(), "a/车 1.jpg"))
        == "车_1-000007-皖A13H25.png"
    )
    camera = a_source("rtsp://u:***@10.0.0.5/1", started=1_700_000_000.0, live=True)
    name = sink.write(Result(camera, None, an_event(text="../../x"), camera.label))
    assert name == "rtsp_u_10.0.0.5_1-20231114T221320Z-000031-x.png"


def make_images(tmp_path: Path, *names: str) -> list[Target]:
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imencode(path.suffix, np.full((120, 160, 3), 90, np.uint8))[1].tofile(path)
    return find_targets(tmp_path)


def test_annotated_images_keep_their_place_and_name(
    tmp_path: Path, a_read: Make, a_source: Make, a_frame: Make
) -> None:
    targets = make_images(tmp_path / "in", "1.png", "b/1.png")
    sink = SaveSink(tmp_path / "out", targets)
    source = a_source("in", is_image=True)
    source.root = targets[0].root
    for i, path in enumerate(targets[0].paths):
        sink.write(FrameResult(source, a_frame(i, None, str(path)), [a_read()], []))
    sink.close()
    saved = sorted(p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.png"))
    assert saved == ["1.png", "b/1.png"]
    image = cv2.imread(str(tmp_path / "out" / "1.png"))
    assert image.shape == (120, 160, 3) and (image != 90).any()


def test_one_image_into_one_file(tmp_path: Path, a_read: Make, a_source: Make, a_frame: Make) -> None:
    targets = make_images(tmp_path / "in", "1.png")
    sink = SaveSink(tmp_path / "new" / "read.jpg", targets)
    frame = a_frame(0, None, str(targets[0].paths[0]))
    sink.write(FrameResult(a_source("in", is_image=True), frame, [a_read()], []))
    assert (tmp_path / "new" / "read.jpg").is_file()
    assert (frame.image == 90).all()  # drawn into a copy


def test_annotated_videos(tmp_path: Path, a_read: Make, a_source: Make, a_frame: Make) -> None:
    target = Target("video", "street.avi", (tmp_path / "street.avi",))
    for out, written in (("out", "out/street.mp4"), ("one.avi", "one.avi")):
        sink = SaveSink(tmp_path / out, [target])
        source = a_source("street.avi")
        for i in range(5):
            sink.write(FrameResult(source, a_frame(i, i / 25), [a_read()], []))
        assert not (tmp_path / written).exists()
        sink.write(FrameResult(source, None, [], []))
        capture = cv2.VideoCapture(str(tmp_path / written))
        assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 5
        capture.release()


def test_a_camera_s_video_is_never_replaced(tmp_path: Path, a_source: Make, a_frame: Make) -> None:
    camera = a_source("camera 0", started=1_700_000_000.0, live=True)
    sink = SaveSink(tmp_path, [Target("camera", "camera 0", address="0")])
    sink.write(FrameResult(camera, a_frame(0, 0.0), [], []))
    sink.close()
    assert (tmp_path / "camera_0-20231114T221320Z.mp4").is_file()


def test_saving_over_the_sources_is_refused(tmp_path: Path) -> None:
    targets = make_images(tmp_path, "1.png")
    with pytest.raises(SettingError, match="would overwrite"):
        SaveSink(tmp_path, targets)
    with pytest.raises(SettingError, match="would overwrite"):
        SaveSink(tmp_path / "1.png", targets)


@pytest.mark.parametrize(
    ("names", "out", "message"),
    [
        (("1.png", "2.png"), "out.png", "does not fit several sources; give a folder"),
        (("1.png",), "out.mp4", "does not fit an image"),
        (("1.png",), "out.gif", "cannot be written as .gif; use one of .bmp, .jpeg"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(
    tmp_path: Path, names: tuple[str, ...], out: str, message: str
) -> None:
    targets = make_images(tmp_path / "in", *names)
    with pytest.raises(SettingError, match=message):
        SaveSink(tmp_path / out, targets)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file"):
        CropSink(tmp_path / "file" / "crops")
