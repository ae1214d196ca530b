"""Reads a video or images with a reader, in an interpreter that has it: run by other benchmarks.

    /path/to/python benchmarks/peer_frames.py rapidocr video.mp4 1      # by `benchmarks.video`
    /path/to/python benchmarks/peer_frames.py rapidocr - 1              # by `benchmarks.speed`

Needs OpenCV and the reader alone. Of a video it writes one JSON object to standard output: what each frame
shows, or, from this kit's versions, which follow vehicles themselves, its events. With "-" it writes one that
says who reads, then one for each path of an image that it gets in a line of its standard input. ONNX Runtime
has the threads that are given. What libraries print goes to standard error.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable, Iterable
from importlib.metadata import version
from typing import IO, Any

import cv2

Found = list[tuple[str, list[list[float]]]]
Opened = tuple[str, Callable[[Any], Found]]


def rapidocr(threads: int | None = None) -> Opened:
    """Opens RapidOCR's newest generation as it comes; returns its version, and what reads a frame."""
    from rapidocr import RapidOCR  # type: ignore[import-not-found,import-untyped,unused-ignore]

    engine = (
        RapidOCR()
        if threads is None
        else RapidOCR(params={"EngineConfig.onnxruntime.intra_op_num_threads": threads})
    )

    def read(image: Any) -> Found:  # noqa: ANN401
        result = engine(image)
        if result.txts is None:
            return []
        return [(str(t), box.tolist()) for t, box in zip(result.txts, result.boxes, strict=True)]

    return version("rapidocr"), read


def agentclpr(threads: int | None = None) -> Opened:
    """Opens AgentCLPR as it comes: a detector of plates with their corners, and a CRNN for Chinese plates."""
    import onnxruntime  # type: ignore[import-not-found,import-untyped,unused-ignore]

    plain = onnxruntime.InferenceSession

    def session(*args: Any, **options: Any) -> Any:  # noqa: ANN401
        # It has no setting for them.
        settings = options.pop("sess_options", None) or onnxruntime.SessionOptions()
        settings.intra_op_num_threads = threads or 0
        return plain(*args, sess_options=settings, **options)

    onnxruntime.InferenceSession = session
    from agentclpr import CLPSystem  # type: ignore[import-not-found,import-untyped,unused-ignore]

    logging.disable(logging.CRITICAL)
    system = CLPSystem()

    def read(image: Any) -> Found:  # noqa: ANN401
        return [(str(text), corners) for corners, (text, _) in system(image)]

    return version("agentclpr"), read


def edge_lpr(threads: int | None = None, precision: str = "auto") -> Opened:
    """Opens this kit, of whichever version the interpreter finds, with the bundle that comes with it."""
    from edge_lpr import PlateReader

    reader = PlateReader(backend="onnxruntime", threads=threads, precision=precision)

    def read(image: Any) -> Found:  # noqa: ANN401
        return [(r.text, r.corners.tolist()) for r in reader.read(image)]

    return reader.description, read


def edge_lpr_fp32(threads: int | None = None) -> Opened:
    """Opens this kit with FP32 networks."""
    return edge_lpr(threads, "fp32")


PEERS: dict[str, Callable[..., Opened]] = {"rapidocr": rapidocr, "agentclpr": agentclpr}
READERS = PEERS | {"edge-lpr": edge_lpr, "edge-lpr-fp32": edge_lpr_fp32}


def read_video(name: str, path: str, threads: int) -> dict[str, Any]:
    """Reads all frames of a video; returns what they show, and the CPU's seconds."""
    cv2.setNumThreads(threads)
    release, read = READERS[name](threads)
    capture = cv2.VideoCapture(path)
    fps = capture.get(cv2.CAP_PROP_FPS)
    frames: list[tuple[float, Found]] = []
    errors = 0
    start = time.process_time()
    while (taken := capture.read())[0]:
        found: Found = []
        try:
            found = read(taken[1])
        except Exception:  # whatever another reader raises: it has read nothing then
            errors += 1
        frames.append((len(frames) / fps, found))
    return {
        "version": release,
        "cpu_seconds": time.process_time() - start,
        "frames": frames,
        "count": len(frames),
        "seconds": len(frames) / fps,
        "errors": errors,
    }


def follow_video(path: str, threads: int) -> dict[str, Any]:
    """Reads a video as this kit's command does; returns its events, and the CPU's seconds.

    Nothing is used that versions of before do not have.
    """
    from edge_lpr import PlateReader
    from edge_lpr.io.sources import open_source
    from edge_lpr.pipeline.stream import Stream

    cv2.setNumThreads(threads)
    with PlateReader(backend="onnxruntime", threads=threads) as reader:
        start = time.process_time()
        with open_source(path) as source:
            stream = Stream(reader, source)
            steps = [step.events for step in stream]
            events = [event for found in (*steps, stream.flush().events) for event in found]
            fps = source.fps or 25.0
        return {
            "version": reader.description,
            "cpu_seconds": time.process_time() - start,
            "events": [(event.text, event.first_seen, event.last_seen) for event in events],
            "count": len(steps),
            "seconds": len(steps) / fps,
            "errors": 0,
        }


def read_images(
    name: str, threads: int, lines: Iterable[str], answer: Callable[[dict[str, Any]], None]
) -> None:
    """Reads each image that a line names; an answer has `cpu` and `seconds`, and `reads` or an `error`."""
    cv2.setNumThreads(threads)
    release, read = READERS[name](threads)
    answer({"version": release})
    for line in lines:
        image = cv2.imread(line.rstrip("\n"))
        found: dict[str, Any] = {}
        cpu, start = time.process_time(), time.perf_counter()
        try:
            found["reads"] = read(image)
        except Exception as e:  # whatever another reader raises: it has read nothing then
            found["error"] = repr(e)
        answer({"cpu": time.process_time() - cpu, "seconds": time.perf_counter() - start, **found})


def main(out: IO[str], name: str, path: str, threads: str = "1") -> None:
    """Answers on a stream."""

    def answer(found: dict[str, Any]) -> None:
        out.write(json.dumps(found) + "\n")
        out.flush()

    if path == "-":
        read_images(name, int(threads), sys.stdin, answer)
    elif name == "edge-lpr":
        answer(follow_video(path, int(threads)))
    else:
        answer(read_video(name, path, int(threads)))


if __name__ == "__main__":
    # Libraries print to standard output too; and the modules beside this one are not theirs to import.
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as stream:
        os.dup2(2, 1)
        del sys.path[0]
        main(stream, *sys.argv[1:])
