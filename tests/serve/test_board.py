"""How cameras are, as it is shown."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from helpers.extras import reason

pytest.importorskip("pydantic", reason=reason("pydantic", "serve"))

from edge_lpr.serve.board import CameraBoard, CameraEntry

IMAGE = np.full((1080, 1920, 3), 100, np.uint8)


def test_a_rate_is_of_the_last_seconds_and_none_where_nothing_comes() -> None:
    now = [0.0]
    entry = CameraEntry("gate", "h", lambda: now[0])
    assert entry.state().fps == 0 and not entry.state().has_picture
    entry.become("live")
    for _ in range(120):
        now[0] += 0.1
        entry.saw(IMAGE, 1.0)
    assert entry.state().fps == pytest.approx(10, abs=0.5)
    assert entry.state().about() == f"live, {entry.state().fps:.1f} frames a second"
    now[0] += 30
    assert entry.state().fps == 0


def test_a_state_is_new_once_and_says_since_when() -> None:
    entry = CameraEntry("gate", "h")
    assert entry.state().state == "starting"
    assert (
        entry.become("lost", "no answer") and not entry.become("lost") and entry.state().detail == "no answer"
    )
    assert entry.state().about() == f"lost, and tried again since {entry.state().since}: no answer"
    assert entry.become("live", "") and entry.state().detail == ""


def test_the_picture_is_encoded_once_for_all_and_is_no_wider_than_is_shown() -> None:
    entry = CameraEntry("gate", "h")
    assert entry.jpeg() is None
    entry.saw(IMAGE, 1.0)
    data = entry.jpeg()
    assert data is not None and entry.jpeg() is data
    assert cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).shape == (720, 1280, 3)
    entry.saw(IMAGE[:48, :64] // 2, 2.0)
    small = entry.jpeg()
    assert small is not None and small != data
    assert cv2.imdecode(np.frombuffer(small, np.uint8), cv2.IMREAD_COLOR).shape == (48, 64, 3)


def test_plain_values_have_no_value_twice() -> None:
    entry = CameraEntry("gate", "h")
    entry.saw(IMAGE, 1_800_000_000.0)
    values = entry.state().to_dict()
    assert values["frames"] == 1 and "counts" not in values and values["width"] == 1920
    assert values["last_frame"] == "2027-01-15T08:00:00.000Z"


def test_a_camera_that_stays_keeps_what_is_known_of_it() -> None:
    board = CameraBoard()
    board.arrange({"a": "x", "b": "y"})
    board["a"].counts.frames = 7
    board["b"].saw(IMAGE[:10, :10], 1.0)
    assert board.latest("b") is not None and board.latest("a") is None and board.latest("none") is None
    board.arrange({"c": "z", "a": "w"})
    assert [one.name for one in board.snapshot()] == ["c", "a"] and board.get("b") is None
    assert board["a"].counts.frames == 7 and board["a"].source == "w"
