"""What OpenCV has opened: frames past what is damaged, and the limit in pixels."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest
from helpers.videos import FPS, write_video

from edge_lpr.errors import SourceError
from edge_lpr.io.capture_decoder import CaptureDecoder
from edge_lpr.io.capture_options import CaptureOptions


def test_a_file_knows_its_frames_and_a_live_source_does_not(tmp_path: Path) -> None:
    capture = cv2.VideoCapture(str(write_video(tmp_path / "a.avi", 21)))
    as_file, as_live, found_out = (
        CaptureDecoder(capture, "a", live, CaptureOptions(stride=4)) for live in (False, True, None)
    )
    assert (as_file.live, as_file.promised, as_file.total, as_file.fps) == (False, 21, 6, FPS)
    assert (as_live.live, as_live.promised, as_live.total) == (True, 0, None)
    assert not found_out.live
    frames = list(as_file.frames(lambda: True))
    assert [frame.index for frame in frames] == [0, 4, 8, 12, 16, 20] and as_file.received == 21
    assert [frame.seconds for frame in frames] == pytest.approx([i * 4 / FPS for i in range(6)], abs=0.003)
    assert not as_file.ends_early()
    as_file.close()
    as_file.close()


def test_it_ends_when_it_is_told_to(tmp_path: Path) -> None:
    capture = cv2.VideoCapture(str(write_video(tmp_path / "a.avi", 50)))
    decoder = CaptureDecoder(capture, "a", False, CaptureOptions())
    assert len(list(decoder.frames(lambda: decoder.received < 5))) == 5 and decoder.ends_early()
    decoder.close()


def test_frames_are_held_to_the_limit(tmp_path: Path) -> None:
    capture = cv2.VideoCapture(str(write_video(tmp_path / "a.avi", 5)))
    with pytest.raises(SourceError, match="a: frames of 64×48 pixels, more than the limit"):
        CaptureDecoder(capture, "a", True, CaptureOptions(max_pixels=64 * 48 - 1))
    assert not capture.isOpened()
