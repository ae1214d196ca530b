"""Speed, recall and memory on a CPU, beside RapidOCR and beside the bare ONNX Runtime sessions.

    pip install -c constraints.txt ".[cpu,calib]" pyyaml six
    pip install --no-deps rapidocr-onnxruntime==1.2.11
    python -m edge_lpr.benchmarks.speed ../shared/data/ccpd ../shared/data/easypr --out speed.json

In one process, on the same pictures decoded in memory, picture by picture: this pipeline; the same inputs put
through the same sessions alone; and `rapidocr-onnxruntime` 1.2.11 as it comes, which carries the same two
networks in their general form. Each reads each picture several times in turn, and its shortest time counts:
what the rest of a shared machine does to a run is no part of it. Ratios, not seconds, are what to compare
between machines. RapidOCR's texts pass the plate filter of this kit's formats before they are counted.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import platform
import random
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_lpr.backends.base import Backend
from edge_lpr.calib.labels import Sample, load_labels
from edge_lpr.calib.metrics import EndToEndScore
from edge_lpr.cli.progress import Progress
from edge_lpr.plate import plate_formats
from edge_lpr.reader import PlateReader

Image = NDArray[np.uint8]
Read = tuple[str, NDArray[np.float32]]


class Recording:
    """A backend that remembers what it was given, so that the sessions can be run again by themselves.

    Args:
        backend: The backend that does the work.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.inputs: list[dict[str, NDArray[Any]]] = []

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the backend has
        return getattr(self._backend, name)

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Runs the model and keeps the inputs."""
        self.inputs.append(dict(inputs))
        return self._backend.run(inputs)

    def replay(self) -> None:
        """Runs all that was kept again."""
        for inputs in self.inputs:
            self._backend.run(inputs)


@dataclass
class Contender:
    """One way to read pictures, its time and its score.

    Attributes:
        work: Reads one picture.
        seconds: Sum of the shortest time of each picture, in seconds.
        score: What it read.
    """

    work: Callable[[Image], list[Read]]
    seconds: float = 0.0
    score: EndToEndScore = field(default_factory=EndToEndScore)

    def read(self, picture: Image) -> tuple[float, list[Read]]:
        """Reads one picture; returns the seconds that it took, and what was read."""
        start = time.perf_counter()
        reads = self.work(picture)
        return time.perf_counter() - start, reads


def rapidocr() -> Callable[[Image], list[Read]] | None:
    """Opens RapidOCR as it comes; None where it is not installed."""
    try:
        from rapidocr_onnxruntime import RapidOCR  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        return None
    engine = RapidOCR()

    def read(image: Image) -> list[Read]:
        found, _ = engine(image)
        reads = [(str(text).replace("·", "").replace(" ", ""), box) for box, text, _ in found or []]
        plates = [(t, b) for t, b in reads if any(plate.accepts(t) for plate in plate_formats())]
        return [(text, np.asarray(box, np.float32)) for text, box in plates]

    return read


def page_of_text(boxes: int = 200) -> Image:
    """Draws a page of plate-shaped words, about as many as asked for: what must not blow the pipeline up."""
    columns = 8
    rows = boxes // columns
    image = np.full((rows * 60 + 20, columns * 190 + 20, 3), 255, np.uint8)
    rng = random.Random(0)
    for row in range(rows):
        for column in range(columns):
            word = "".join(rng.choices("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789", k=7))
            at = (20 + column * 190, 55 + row * 60)
            cv2.putText(image, word, at, cv2.FONT_HERSHEY_SIMPLEX, 1.0, (0, 0, 0), 2)
    return image


def compare(samples: Sequence[Sample], threads: int, repeats: int) -> dict[str, Any]:
    """Reads all samples in each way, in turn.

    Args:
        samples: Labelled scenes.
        threads: ONNX Runtime's threads.
        repeats: How often each picture is read in each way.

    Returns:
        What was measured, ready for JSON.
    """
    with PlateReader(backend="onnxruntime", threads=threads) as reader:
        det, rec = Recording(reader.detector.backend), Recording(reader.recognizer.backend)
        reader.detector.backend, reader.recognizer.backend = det, rec

        def read(image: Image) -> list[Read]:
            det.inputs.clear()
            rec.inputs.clear()
            return [(r.text, r.corners) for r in reader.read(image)]

        def replay(_: Image) -> list[Read]:
            det.replay()
            rec.replay()
            return []

        peer = rapidocr()
        ours, bare, theirs = Contender(read), Contender(replay), Contender(peer or replay)
        contenders = [ours, bare, *([theirs] if peer else [])]
        with Progress("speed", len(samples), "pictures") as progress:
            for sample in samples:
                picture = sample.read()
                rounds = [[c.read(picture) for c in contenders] for _ in range(repeats)]
                for i, contender in enumerate(contenders):
                    contender.seconds += min(r[i][0] for r in rounds)
                    contender.score.add(sample.plates or (), rounds[0][i][1])
                progress.update()
        page = page_of_text()
        page_seconds = min(ours.read(page)[0] for _ in range(repeats))
        runs = [next(iter(inputs.values())).shape for inputs in rec.inputs]
        description = reader.description
    found: dict[str, Any] = {
        "reader": description,
        "pictures": len(samples),
        "repeats": repeats,
        "threads": threads,
        "edge_lpr": _result(ours, len(samples)),
        "bare_sessions": {"pictures_per_second": len(samples) / bare.seconds},
        "pipeline_adds": ours.seconds / bare.seconds - 1,
        "page": {"crops": sum(shape[0] for shape in runs), "runs": len(runs), "seconds": page_seconds},
    }
    if peer is not None:
        found["rapidocr"] = _result(theirs, len(samples))
        found["times_rapidocr"] = theirs.seconds / ours.seconds
    return found


def peak_memory(paths: Sequence[str], threads: int) -> float:
    """Returns the peak resident memory, in MB (10⁶ bytes), of a process that only reads these pictures."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return float(pool.apply(_read_all, (list(paths), threads)))


def _read_all(paths: Sequence[str], threads: int) -> float:
    with PlateReader(backend="onnxruntime", threads=threads) as reader:
        for path in paths:
            image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
            if image is not None:
                reader.read(np.asarray(image, np.uint8))
    status = Path("/proc/self/status")
    if status.is_file():  # getrusage would count the parent, whose memory this process had before it started
        lines = status.read_text(encoding="utf-8").splitlines()
        return next(float(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM"))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def _result(contender: Contender, pictures: int) -> dict[str, float]:
    return {
        "pictures_per_second": pictures / contender.seconds,
        "recall": contender.score.recall,
        "precision": contender.score.precision,
    }


def machine() -> dict[str, Any]:
    """Returns what figures have to stand with: the machine and the versions."""
    versions = {}
    for package in ("edge-lpr", "numpy", "onnxruntime", "opencv-python-headless", "rapidocr-onnxruntime"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    model = next(
        (line.split(":", 1)[1].strip() for line in _cpuinfo() if line.startswith("model name")),
        platform.processor(),
    )
    return {"cpu": model, "cores": os.cpu_count(), "python": platform.python_version(), "versions": versions}


def _cpuinfo() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8").splitlines() if path.is_file() else []


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark; see the module's text."""
    parser = argparse.ArgumentParser(
        prog="python -m edge_lpr.benchmarks.speed", description=(__doc__ or "").split("\n\n", maxsplit=1)[0]
    )
    parser.add_argument("data", nargs="+", help="folders of labelled scenes")
    parser.add_argument("--threads", type=int, default=2, help="threads of ONNX Runtime (default 2)")
    parser.add_argument("--repeats", type=int, default=3, help="times each picture is read (default 3)")
    parser.add_argument("--limit", type=int, help="only this many pictures, drawn with a fixed seed")
    parser.add_argument("--out", help="a JSON file for the results")
    args = parser.parse_args(argv)
    samples = [s for s in load_labels(args.data).scenes if s.plates]
    if args.limit and args.limit < len(samples):
        samples = random.Random(0).sample(samples, args.limit)
    cv2.setNumThreads(args.threads)
    found = {"machine": machine(), **compare(samples, args.threads, args.repeats)}
    found["peak_memory_mb"] = peak_memory([str(s.path) for s in samples], args.threads)
    text = json.dumps(found, indent=1, ensure_ascii=False, allow_nan=False)
    if args.out:
        Path(args.out).write_text(text + "\n", encoding="utf-8")
    sys.stdout.write(text + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
