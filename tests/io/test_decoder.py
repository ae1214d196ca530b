"""Frames past what is damaged, and what is said at the end."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest
from helpers.videos import FPS, write_video

from edge_lpr.io.decoder import Decoder, end_notes


def test_a_file_knows_its_frames_and_a_live_source_does_not(tmp_path: Path) -> None:
    capture = cv2.VideoCapture(str(write_video(tmp_path / "a.avi", 21)))
    as_file, as_live, found_out = (Decoder(capture, live, 4) for live in (False, True, None))
    assert (as_file.live, as_file.promised, as_file.total, as_file.fps) == (False, 21, 6, FPS)
    assert (as_live.live, as_live.promised, as_live.total) == (True, 0, None)
    assert not found_out.live
    frames = list(as_file.frames(lambda: True))
    assert [frame.index for frame in frames] == [0, 4, 8, 12, 16, 20] and as_file.received == 21
    assert [frame.seconds for frame in frames] == pytest.approx([i * 4 / FPS for i in range(6)], abs=0.003)
    assert not as_file.ends_early()
    capture.release()


def test_it_ends_when_it_is_told_to(tmp_path: Path) -> None:
    capture = cv2.VideoCapture(str(write_video(tmp_path / "a.avi", 50)))
    decoder = Decoder(capture, False, 1)
    assert len(list(decoder.frames(lambda: decoder.received < 5))) == 5 and decoder.ends_early()
    capture.release()


def test_what_is_wrong_with_a_video_is_a_line_each() -> None:
    assert end_notes("a.mp4", 50, 50, 0, early=False) == []
    assert end_notes("a.mp4", 20, 50, 3, early=True) == [
        "a.mp4: ends early: 20 of 50 promised frames can be decoded; what they show was read",
        "a.mp4: 3 frames could not be decoded and were skipped",
    ]
