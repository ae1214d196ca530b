"""Speed, recall and memory on a CPU, beside RapidOCR and beside the bare ONNX Runtime sessions.

    pip install -c constraints.txt ".[cpu,calib]" pyyaml six
    pip install --no-deps rapidocr-onnxruntime==1.2.11
    python -m edge_lpr.benchmarks.speed ../shared/data/ccpd ../shared/data/easypr --out speed.json

In one process, on the same images decoded in memory, image by image: this pipeline; the same inputs put
through the same sessions alone; and `rapidocr-onnxruntime` 1.2.11 as it comes, which carries the same two
networks in their general form. Each reads each image several times in turn, and its shortest time counts:
what the rest of a shared machine does to a run is no part of it. Ratios, not seconds, are what to compare
between machines. RapidOCR's texts pass the plate filter of this kit's formats before they are counted.
"""

from __future__ import annotations

import multiprocessing
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from edge_lpr.backends import Models, open_models
from edge_lpr.backends.recording import RecordingBackend
from edge_lpr.bundle.manifest import load_bundle
from edge_lpr.console.module_main import Parser, module_main
from edge_lpr.console.progress import Progress
from edge_lpr.datasets.labels import Sample, label_inputs, load_labels
from edge_lpr.environment import machine, peak_memory
from edge_lpr.evaluation.metrics import EndToEndScore
from edge_lpr.io.atomic_io import write_json
from edge_lpr.io.claims import check_outputs
from edge_lpr.io.image_io import read_image
from edge_lpr.pipeline.reader import PlateReader
from edge_lpr.plates import plate_formats
from edge_lpr.types import Image, Quad

# ONNX Runtime's threads spin on for a while after a run: without a pause, a contender's would take a core of
# the next. In seconds.
SETTLE = 0.05

Read = tuple[str, Quad]


@dataclass
class Contender:
    """One way to read images, its time and its score.

    Attributes:
        work: Reads one image.
        seconds: Sum of the shortest time of each image, in seconds.
        score: What it read.
    """

    work: Callable[[Image], list[Read]]
    seconds: float = 0.0
    score: EndToEndScore = field(default_factory=EndToEndScore)

    def read(self, image: Image) -> tuple[float, list[Read]]:
        """Reads one image; returns the seconds that it took, and what was read."""
        time.sleep(SETTLE)
        start = time.perf_counter()
        reads = self.work(image)
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


def words(count: int = 200) -> list[Image]:
    """Draws words of a plate's size, as many as a page full of text has: what must stay batched."""
    random_letters = random.Random(0)
    images = []
    for _ in range(count):
        image = np.full((48, 180, 3), 255, np.uint8)
        word = "".join(random_letters.choices("ABCDEFGHJKLMNPQRSTUVWXYZ0123456789", k=7))
        cv2.putText(image, word, (8, 36), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (0, 0, 0), 2)
        images.append(image)
    return images


def compare_readers(samples: Sequence[Sample], threads: int, repeats: int) -> dict[str, Any]:
    """Reads all samples in each way, in turn.

    Args:
        samples: Labelled scenes.
        threads: ONNX Runtime's threads.
        repeats: How often each image is read in each way.

    Returns:
        What was measured, ready for JSON.
    """
    opened = open_models(load_bundle(), backend="onnxruntime", options={"threads": threads})
    det, rec = RecordingBackend(opened.det), RecordingBackend(opened.rec)
    with PlateReader(models=Models(det, rec, opened.why)) as reader:

        def read(image: Image) -> list[Read]:
            det.clear()
            rec.clear()
            return [(r.text, r.corners) for r in reader.read(image)]

        def replay(_: Image) -> list[Read]:
            for recording in (det, rec):
                for inputs in recording.inputs:
                    recording.backend.run(inputs)
            return []

        peer = rapidocr()
        ours, bare, theirs = Contender(read), Contender(replay), Contender(peer or replay)
        contenders = [ours, bare, *([theirs] if peer else [])]
        with Progress("speed", len(samples), "images") as progress:
            for sample in samples:
                image = sample.read()
                # Every other round runs backwards: whoever comes after itself finds the caches warm.
                turns = [contenders[:: 1 if n % 2 == 0 else -1] for n in range(repeats)]
                found = [(c, *c.read(image)) for turn in turns for c in turn]
                for contender in contenders:
                    contender.seconds += min(seconds for c, seconds, _ in found if c is contender)
                    reads = next(reads for c, _, reads in found if c is contender)
                    contender.score.add(sample.plates or (), reads)
                progress.update()
        page = words()
        rec.clear()
        start = time.perf_counter()
        reader.read_crops(page)
        page_seconds = time.perf_counter() - start
        runs = [next(iter(inputs.values())).shape for inputs in rec.inputs]
        description = reader.description
    result: dict[str, Any] = {
        "reader": description,
        "images": len(samples),
        "repeats": repeats,
        "threads": threads,
        "edge_lpr": _result(ours, len(samples)),
        "bare_sessions": {"images_per_second": len(samples) / bare.seconds},
        "pipeline_adds": ours.seconds / bare.seconds - 1,
        "page_of_200_words": {
            "crops": sum(shape[0] for shape in runs),
            "runs": len(runs),
            "seconds": page_seconds,
        },
    }
    if peer is not None:
        result["rapidocr"] = _result(theirs, len(samples))
        result["times_rapidocr"] = theirs.seconds / ours.seconds
    return result


def peak_memory_mb(paths: Sequence[str], threads: int) -> float | None:
    """Returns the peak resident memory, in MB (10⁶ bytes), of a process that only reads these images."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        peak = pool.apply(_read_all, (list(paths), threads))
    return None if peak is None else peak / 1e6


def _read_all(paths: Sequence[str], threads: int) -> int | None:
    with PlateReader(backend="onnxruntime", threads=threads) as reader:
        for path in paths:
            reader.read(read_image(path))
    return peak_memory()


def _result(contender: Contender, images: int) -> dict[str, float]:
    return {
        "images_per_second": images / contender.seconds,
        "recall": contender.score.recall,
        "precision": contender.score.precision,
    }


@module_main("benchmarks.speed")
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark; see the module's text."""
    parser = Parser(
        prog="python -m edge_lpr.benchmarks.speed", description=(__doc__ or "").split("\n\n", maxsplit=1)[0]
    )
    parser.add_argument("data", nargs="+", help="folders of labelled scenes")
    parser.add_argument("--threads", type=int, default=2, help="threads of ONNX Runtime (default 2)")
    parser.add_argument("--repeats", type=int, default=4, help="times each image is read (default 4)")
    parser.add_argument("--limit", type=int, help="only this many images, drawn with a fixed seed")
    parser.add_argument("--out", help="a JSON file for the results")
    args = parser.parse_args(argv)
    check_outputs([("--out", args.out)], label_inputs("data", args.data))
    samples = [s for s in load_labels(args.data).scenes if s.plates]
    if args.limit and args.limit < len(samples):
        samples = random.Random(0).sample(samples, args.limit)
    cv2.setNumThreads(args.threads)
    found = {
        "machine": machine("rapidocr-onnxruntime"),
        **compare_readers(samples, args.threads, args.repeats),
    }
    found["peak_memory_mb"] = peak_memory_mb([str(s.path) for s in samples], args.threads)
    write_json("-", found)
    if args.out:
        write_json(args.out, found)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
