"""Speed, accuracy and memory on a CPU, side by side in one run: this kit, other readers, an older version.

    python -m edge_lpr.finetune.release divide --data ../shared/data --out parts
    python -m edge_lpr.benchmarks.speed parts/unseen --peer rapidocr --peer agentclpr --python /path/to/python
        --before /path/to/a/worktree --json speed.json

Each reader is a process of its own, and all read the same images, one at a time in turn, several times; an
image's least CPU time counts, and beside it the least time on the clock: what the rest of a shared machine
does to a run is no part of it. Ratios, not seconds, are what to compare between machines. This kit reads with
what `auto` takes here and with FP32; `--before` is a checkout of another version, with its own weights. Of
other readers' texts those count that pass for a plate by this kit's formats.

Then this pipeline beside its own bare ONNX Runtime sessions, put through the same inputs; a page of 200
words; and the peak memory of a process that only reads.
"""

from __future__ import annotations

import multiprocessing
import random
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np

from edge_lpr.backends import Models, open_models
from edge_lpr.backends.recording import RecordingBackend
from edge_lpr.benchmarks.peer_process import Peer, add_peer_options, check_peer_options
from edge_lpr.bundle.manifest import load_bundle
from edge_lpr.console.module_main import Parser, module_main
from edge_lpr.console.progress import Progress
from edge_lpr.datasets.labels import Sample, label_inputs, load_labels
from edge_lpr.environment import machine, peak_memory
from edge_lpr.errors import InputError
from edge_lpr.evaluation.metrics import EndToEndScore
from edge_lpr.io.atomic_io import write_json
from edge_lpr.io.claims import check_outputs
from edge_lpr.io.image_io import read_image
from edge_lpr.pipeline.reader import PlateReader
from edge_lpr.plates import plate_formats
from edge_lpr.types import Image, Quad

OURS = "edge-lpr"
# ONNX Runtime's threads spin on for a while after a run: without a pause, a contender's would take a core of
# the next. In seconds.
SETTLE = 0.05

Read = tuple[str, Quad]


@dataclass
class Contender:
    """What one reader did.

    Attributes:
        cpu: Of each round its CPU time for each image, in seconds.
        clock: The time on the clock likewise.
        score: What it read.
        failed: Images that it ended at with an error.
    """

    cpu: list[list[float]]
    clock: list[list[float]]
    score: EndToEndScore = field(default_factory=EndToEndScore)
    failed: int = 0

    def least(self) -> tuple[float, float]:
        """Returns the sums of each image's least CPU time and least time on the clock, in seconds."""
        cpu, clock = (sum(map(min, zip(*rounds, strict=True))) for rounds in (self.cpu, self.clock))
        return cpu, clock


def compare_peers(peers: Sequence[Peer], samples: Sequence[Sample], repeats: int) -> dict[str, Any]:
    """Has readers read all samples in turn, an image at a time.

    Args:
        peers: The readers, open; the first is what the others are set against.
        samples: Labelled scenes.
        repeats: How often each reads each image.

    Returns:
        By name what was measured, ready for JSON; `of_edge_lpr_time` is its CPU time as a multiple of the
        first's, and `by_round` the least and most of that in a single round.
    """
    contenders = {peer.name: Contender(_rounds(repeats), _rounds(repeats)) for peer in peers}
    with Progress("speed", len(samples) * repeats, "images") as progress:
        for sample in samples:
            for n in range(repeats):
                # Every other round runs backwards: whoever comes after itself finds the caches warm.
                for peer in peers[:: 1 if n % 2 == 0 else -1]:
                    time.sleep(SETTLE)
                    found = peer.read(sample.path)
                    contender = contenders[peer.name]
                    contender.cpu[n].append(found["cpu"])
                    contender.clock[n].append(found["seconds"])
                    if n == 0:
                        contender.failed += "error" in found
                        contender.score.add(sample.plates or (), plates(found.get("reads", [])))
                progress.update()
    first = contenders[peers[0].name]
    return {peer.name: _result(peer, contenders[peer.name], first, len(samples)) for peer in peers}


def _rounds(repeats: int) -> list[list[float]]:
    return [[] for _ in range(repeats)]


def plates(reads: Sequence[tuple[str, Sequence[Sequence[float]]]]) -> list[Read]:
    """Returns those of a reader's texts that pass for a plate, with their corners, float32 4×2."""
    formats = plate_formats()
    texts = [(text.replace("·", "").replace(" ", ""), box) for text, box in reads]
    return [(t, np.array(box, np.float32)) for t, box in texts if any(plate.accepts(t) for plate in formats)]


def _result(peer: Peer, contender: Contender, first: Contender, images: int) -> dict[str, Any]:
    cpu, clock = contender.least()
    rounds = [sum(a) / sum(b) for a, b in zip(contender.cpu, first.cpu, strict=True)]
    score = contender.score
    return {
        "version": peer.version,
        "cpu_ms_per_image": round(1000 * cpu / images, 2),
        "clock_ms_per_image": round(1000 * clock / images, 2),
        "of_edge_lpr_time": round(cpu / first.least()[0], 3),
        "by_round": [round(min(rounds), 3), round(max(rounds), 3)],
        "recall": round(score.recall, 4),
        "precision": round(score.precision, 4),
        "plates": score.labelled,
        "read": score.hits,
        "failed_images": contender.failed,
    }


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


def compare_sessions(samples: Sequence[Sample], threads: int, repeats: int) -> dict[str, Any]:
    """Reads all samples with the pipeline, and puts the same inputs through its sessions alone, in turn.

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

        def read(image: Image) -> None:
            det.clear()
            rec.clear()
            reader.read(image)

        def replay(_: Image) -> None:
            for recording in (det, rec):
                for inputs in recording.inputs:
                    recording.backend.run(inputs)

        ours = bare = 0.0
        for sample in samples:
            image = sample.read()
            pairs = [(_cpu(read, image), _cpu(replay, image)) for _ in range(repeats)]
            ours += min(pair[0] for pair in pairs)
            bare += min(pair[1] for pair in pairs)
        rec.clear()
        seconds = _cpu(reader.read_crops, words())
        runs = [next(iter(inputs.values())).shape for inputs in rec.inputs]
    crops = sum(shape[0] for shape in runs)
    return {
        "pipeline_adds": round(ours / bare - 1, 4),
        "page_of_200_words": {"crops": crops, "runs": len(runs), "cpu_seconds": round(seconds, 3)},
    }


def _cpu(work: Callable[[Any], object], value: object) -> float:
    start = time.process_time()
    work(value)
    return time.process_time() - start


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


@module_main("benchmarks.speed")
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark; see the module's text."""
    parser = Parser(
        prog="python -m edge_lpr.benchmarks.speed", description=(__doc__ or "").split("\n\n", maxsplit=1)[0]
    )
    parser.add_argument("data", nargs="+", help="folders of labelled scenes")
    add_peer_options(parser)
    parser.add_argument("--threads", type=int, default=1, help="threads of ONNX Runtime (default 1)")
    parser.add_argument("--repeats", type=int, default=3, help="times each image is read (default 3)")
    parser.add_argument("--limit", type=int, help="only this many images, drawn with a fixed seed")
    parser.add_argument("--json", metavar="FILE", help="write the figures into a file too")
    args = parser.parse_args(argv)
    check_peer_options(args)
    check_outputs([("--json", args.json)], label_inputs("data", args.data))
    samples = [s for s in load_labels(args.data).scenes if s.plates is not None]
    if not samples:
        raise InputError(
            f"{', '.join(args.data)}: no labelled scene in it; expected pictures, not cut-out plates"
        )
    if args.limit and args.limit < len(samples):
        samples = random.Random(0).sample(samples, args.limit)
    cv2.setNumThreads(args.threads)
    own = [Peer(OURS, "edge-lpr", sys.executable, args.threads)]
    own.append(Peer(f"{OURS}, FP32", "edge-lpr-fp32", sys.executable, args.threads))
    if args.before:
        own.append(Peer(f"{OURS}, before", "edge-lpr", sys.executable, args.threads, args.before))
    others = [Peer(name, name, args.python, args.threads) for name in args.peer or ()]
    with ExitStack() as stack:
        readers = [stack.enter_context(peer) for peer in (*own, *others)]
        compared = compare_peers(readers, samples, args.repeats)
    found = {
        "machine": machine(),
        "images": len(samples),
        "repeats": args.repeats,
        "threads": args.threads,
        "readers": compared,
        **compare_sessions(samples, args.threads, args.repeats),
        "peak_memory_mb": peak_memory_mb([str(s.path) for s in samples], args.threads),
    }
    write_json("-", found)
    if args.json:
        write_json(args.json, found)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
