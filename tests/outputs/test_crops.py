"""The plates' images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edge_lpr.errors import OutputError
from edge_lpr.outputs import CropOutput, Result
from edge_lpr.pipeline.stream import FrameResult

Make = Callable[..., Any]


def write(out: CropOutput, result: Result) -> str | None:
    out.write(FrameResult(result.source, result.frame, [], [], True), [result])
    return result.crop


def test_crops_are_named_by_source_frame_and_text(tmp_path: Path, an_event: Make, a_source: Make) -> None:
    source = a_source("dir/street.mp4")
    with CropOutput(tmp_path / "crops") as out:
        names = [write(out, Result(source, None, an_event(), "dir/street.mp4")) for _ in range(2)]
        assert write(out, Result(source, None, an_event(crop=None), "dir/street.mp4")) is None
    assert names == ["street-000031-皖A13H25.png", "street-000031-皖A13H25-2.png"]
    data = np.fromfile(tmp_path / "crops" / str(names[0]), np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert image is not None and image.shape == (30, 100, 3)


def test_a_crop_of_a_read_and_of_a_camera(
    tmp_path: Path, a_read: Make, an_event: Make, a_source: Make, a_frame: Make
) -> None:
    out = CropOutput(str(tmp_path))
    image = Result(a_source(), a_frame(7, None, "a/车 1.jpg"), a_read(), "a/车 1.jpg")
    assert write(out, image) == "车_1-000007-皖A13H25.png"
    camera = a_source("rtsp://***@10.0.0.5/1", started=1_700_000_000.0, live=True)
    name = write(out, Result(camera, None, an_event(text="../../x"), camera.label))
    assert name == "rtsp_10.0.0.5_1-20231114T221320Z-000031-x.png"


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file"):
        CropOutput(tmp_path / "file" / "crops")


def test_the_events_of_one_vehicle_share_a_file_that_is_written_again(
    tmp_path: Path, an_event: Make, a_source: Make
) -> None:
    camera = a_source("cam", started=1_700_000_000.0, live=True)
    out = CropOutput(tmp_path)
    names = []
    for state, text, gray in (("new", "皖A13H2S", 10), ("update", "皖A13H25", 20), ("end", "皖A13H25", 200)):
        event = an_event(state=state, text=text, crop=np.full((30, 100, 3), gray, np.uint8))
        names.append(write(out, Result(camera, None, event, "cam")))
    assert names == ["cam-20231114T221320Z-000031-皖A13H2S.png"] * 3
    assert [p.name for p in tmp_path.iterdir()] == names[:1]
    image = cv2.imdecode(np.fromfile(tmp_path / str(names[0]), np.uint8), cv2.IMREAD_COLOR)
    assert image is not None and image.min() == 200


def test_names_of_a_camera_s_crops_are_not_remembered_for_ever(
    tmp_path: Path, an_event: Make, a_source: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge_lpr.outputs.crops.write_image", lambda path, image: path.touch())
    camera = a_source("cam", started=1_700_000_000.0, live=True)
    out = CropOutput(tmp_path)
    for n in range(700):
        event = an_event(state="new", id=str(n), first_frame=n // 2)  # two each, of one text
        write(out, Result(camera, None, event, "cam"))
    assert len(list(tmp_path.iterdir())) == 700
    assert len(out._names) == 0 and len(out._vehicles) <= 500
