"""Small videos whose frames are known by their brightness."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

FPS = 25


def write_video(path: Path, frames: int = 50, fps: float = FPS) -> Path:
    """Writes a video of 64×48 pixels; frame i has a brightness of 4 i."""
    code = "MJPG" if path.suffix == ".avi" else "mp4v"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*code), fps, (64, 48))
    assert writer.isOpened()
    for i in range(frames):
        writer.write(np.full((48, 64, 3), i * 4 % 256, np.uint8))
    writer.release()
    return path


def frames_in(path: Path) -> int:
    """Counts the frames that a video plays."""
    capture = cv2.VideoCapture(str(path))
    count = 0
    while capture.grab():
        count += 1
    capture.release()
    return count
