"""What is said at the end of a video."""

from __future__ import annotations

from edge_lpr.io.decoder import end_notes


def test_what_is_wrong_with_a_video_is_a_line_each() -> None:
    assert end_notes("a.mp4", 50, 50, 0, early=False) == []
    assert end_notes("a.mp4", 20, 50, 3, early=True) == [
        "a.mp4: ends early: 20 of 50 promised frames can be decoded; what they show was read",
        "a.mp4: 3 frames skipped that could not be decoded",
    ]
