"""Reads a video frame by frame with another reader, in an interpreter that has it: run by `benchmarks.video`.

    /path/to/python benchmarks/peer_frames.py rapidocr video.mp4

Needs OpenCV and the reader alone, and writes one JSON object to standard output.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import cv2

Found = list[tuple[str, list[list[float]]]]


def rapidocr() -> tuple[str, Callable[[Any], Found]]:
    """Opens RapidOCR's newest generation as it comes; returns its version, and what reads a frame."""
    from rapidocr import RapidOCR  # type: ignore[import-not-found,import-untyped,unused-ignore]

    engine = RapidOCR()

    def read(image: Any) -> Found:  # noqa: ANN401
        result = engine(image)
        if result.txts is None:
            return []
        return [(str(t), box.tolist()) for t, box in zip(result.txts, result.boxes, strict=True)]

    return version("rapidocr"), read


READERS = {"rapidocr": rapidocr}


def main(name: str, path: str) -> None:
    """Reads all frames of a video and prints what they show, and the CPU's seconds."""
    cv2.setNumThreads(1)
    release, read = READERS[name]()
    capture = cv2.VideoCapture(path)
    fps = capture.get(cv2.CAP_PROP_FPS)
    frames: list[tuple[float, Found]] = []
    start = time.process_time()
    while (taken := capture.read())[0]:
        frames.append((len(frames) / fps, read(taken[1])))
    seconds = time.process_time() - start
    # Libraries print to standard output too: the last line is the result.
    sys.stdout.write("\n" + json.dumps({"version": release, "cpu_seconds": seconds, "frames": frames}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
