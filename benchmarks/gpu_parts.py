"""The parts of `benchmarks/gpu.py`: what is measured on a GPU, each by itself."""

from __future__ import annotations

import itertools
import shutil
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from edge_lpr.backends.engine_file import find_engine
from edge_lpr.backends.tensorrt import TensorRTBackend, this_machine
from edge_lpr.backends.trt_api import TensorRT
from edge_lpr.benchmarks.gpu_measures import (
    Counting,
    Image,
    against_engines,
    compare,
    growth,
    in_flight,
    latency,
    refusal,
    resident_mib,
    spoilers,
    within_budget,
)
from edge_lpr.bundle import Bundle, Part
from edge_lpr.calib.evaluate import evaluate_reader
from edge_lpr.calib.labels import Sample
from edge_lpr.engines.build import PARTS, build_engine, plans
from edge_lpr.engines.inspector import inspect_engine
from edge_lpr.engines.profiles import Size, det_sizes
from edge_lpr.engines.settings import BuildSettings
from edge_lpr.errors import EdgeLprError
from edge_lpr.plate import PlateRead
from edge_lpr.reader import PlateReader

# To reach, in points of accuracy below FP32: issue 5's budgets.
BUDGETS = {"fp32": 0.0, "fp16": 0.1, "int8": 0.2}
MEMORY_FRAMES = 10_000
MEMORY_STEP = 1_000


@dataclass
class Bench:
    """What the parts share.

    Attributes:
        bundle: The bundle.
        folder: Where the engines lie; the parts set $EDGE_LPR_ENGINES to it.
        precisions: Which are measured.
        settings: How engines are built.
        pictures: Decoded pictures, uint8 H×W×3 BGR.
        samples: Labelled pictures, for accuracy; may be empty.
        seconds: How long one measurement of speed takes, in seconds.
        deadline: `time.monotonic()` at which the whole has to be done.
        reference: What ONNX Runtime in FP32 read, once `reference` has run.
        accuracy: What ONNX Runtime in FP32 reached on the labelled pictures, once `reference` has run.
        speeds: Images per second of an engine by (model, precision), once `throughput` has run.
    """

    bundle: Bundle
    folder: Path
    precisions: Sequence[str]
    settings: BuildSettings
    pictures: Sequence[Image]
    samples: Sequence[Sample]
    seconds: float
    deadline: float
    reference: list[list[PlateRead]] = field(default_factory=list)
    accuracy: dict[str, float] | None = None
    speeds: dict[tuple[str, str], float] = field(default_factory=dict)

    def sizes(self) -> tuple[Size, ...]:
        """The detector's input sizes that the engines have."""
        return det_sizes(self.bundle.det, self.settings.det_sizes)

    def left(self) -> float:
        """Seconds until the deadline."""
        return self.deadline - time.monotonic()

    def reader(self, backend: str, precision: str) -> PlateReader:
        """Opens a reader whose detector uses the engines' input sizes, whichever backend runs."""
        reader = PlateReader(self.bundle.path, backend=backend, precision=precision)
        reader.detector.backend.sizes = self.sizes()
        return reader


def reference(bench: Bench) -> dict[str, Any]:
    """Reads the pictures with ONNX Runtime in FP32: what everything else is compared with."""
    with bench.reader("onnxruntime", "fp32") as reader:
        began = time.perf_counter()
        bench.reference = [reader.read(image) for image in bench.pictures]
        seconds = time.perf_counter() - began
        bench.accuracy = _accuracy(bench, reader)
        return {
            "reader": reader.description,
            "pictures": len(bench.pictures),
            "plates": sum(map(len, bench.reference)),
            "frames_per_second": round(len(bench.pictures) / seconds, 2),
            "accuracy": bench.accuracy,
        }


def builds(bench: Bench, api: TensorRT) -> dict[str, Any]:
    """Builds every engine anew: time, size, and the share of the work that is in INT8."""
    result: dict[str, Any] = {}
    for plan in plans(bench.bundle, bench.precisions, bench.settings):
        try:
            manifest = build_engine(api, plan, bench.folder)
            entry: dict[str, Any] = {
                "seconds": manifest.seconds,
                "megabytes": round(manifest.engine_bytes / 1e6, 2),
                "profiles": list(map(str, plan.profiles)),
            }
            report = inspect_engine(api, manifest, len(plan.profiles) - 1)
            entry["layers_by_input_type"] = dict(report.counts)
            entry["int8_share_of_multiply_adds"] = report.share("INT8")
        except EdgeLprError as e:
            entry = {"error": str(e)}
        result[plan.label] = entry
    return result


def agreement(bench: Bench) -> dict[str, Any]:
    """Compares what TensorRT reads with what ONNX Runtime read, and with the labels."""
    result: dict[str, Any] = {}
    for precision in bench.precisions:
        try:
            with bench.reader("tensorrt", precision) as reader:
                read = [reader.read(image) for image in bench.pictures]
                accuracy = _accuracy(bench, reader)
            result[precision] = {
                **compare(bench.reference, read),
                "accuracy": accuracy,
                "within_budget": within_budget(bench.accuracy, accuracy, BUDGETS[precision]),
            }
        except EdgeLprError as e:
            result[precision] = {"error": str(e)}
    return result


def throughput(bench: Bench, api: TensorRT) -> dict[str, Any]:
    """Measures the engines alone, with copies to and from the GPU, by batch, with and without CUDA graphs.

    On an integrated GPU also with copies in place of the mapped memory that is the default there.
    """
    variants: dict[str, dict[str, bool]] = {"": {}, ", no graphs": {"graphs": False}}
    if api.gpu.integrated:
        variants[", copies"] = {"mapped": False}
    result: dict[str, Any] = {}
    for part, precision, label in itertools.product(PARTS, bench.precisions, variants):
        result.update(_engine_alone(bench, part, precision, label, variants[label]))
    return result


def pipeline(bench: Bench, batch: int = 8) -> dict[str, Any]:
    """Reads pictures that lie in memory, and sets the speed against what the engines alone would reach."""
    result: dict[str, Any] = {}
    for precision in bench.precisions:
        try:
            with bench.reader("tensorrt", precision) as reader:
                counter = reader.recognizer.backend = Counting(reader.recognizer.backend)
                frames = 0
                rates = {}
                for threads in (1, 2, 4, 8):
                    read, seconds = _read(reader, bench, batch, threads)
                    frames += read
                    rates[str(threads)] = round(read / seconds, 1)
            result[precision] = against_engines(bench.speeds, precision, rates, counter.images / frames)
        except EdgeLprError as e:
            result[precision] = {"error": str(e)}
    return result


def memory(bench: Bench, api: TensorRT, batch: int = 8) -> dict[str, Any]:
    """Reads 10,000 frames and looks at the memory of process and device on the way."""
    from pycuda import driver

    precision = "fp16" if "fp16" in bench.precisions else bench.precisions[0]
    marks: list[dict[str, float]] = []
    with bench.reader("tensorrt", precision) as reader:
        source = itertools.cycle(bench.pictures)
        done = 0
        while done < MEMORY_FRAMES and bench.left() > 0:
            reader.read_batch(list(itertools.islice(source, batch)))
            done += batch
            if done % MEMORY_STEP < batch:
                with api.gpu.active():
                    free, total = driver.mem_get_info()
                marks.append(
                    {"frames": done, "device_mib": (total - free) / 2**20, "process_mib": resident_mib()}
                )
    grown = growth(marks)
    return {"precision": precision, "frames": done, "marks": marks, **grown}


def refusals(bench: Bench, api: TensorRT) -> dict[str, Any]:
    """Spoils copies of an engine in every way that has to be noticed before it is loaded."""
    model = bench.bundle.model("det", bench.precisions[0])
    good = find_engine(bench.folder, model, this_machine(api))
    result: dict[str, Any] = {}
    for name, (change, harm) in spoilers().items():
        folder = bench.folder / f"refused-{name.replace(' ', '-')}"
        folder.mkdir(exist_ok=True)
        result[name] = refusal(good, folder, change, harm, model)
        shutil.rmtree(folder)
    return result


def _accuracy(bench: Bench, reader: PlateReader) -> dict[str, float] | None:
    """Recall and precision on the labelled pictures, in points; None without any."""
    if not bench.samples:
        return None
    score = evaluate_reader("e2e", reader, bench.samples).all
    return {"recall": round(100 * score.recall, 3), "precision": round(100 * score.precision, 3)}


def _read(reader: PlateReader, bench: Bench, batch: int, threads: int) -> tuple[int, float]:
    """Reads for a while in several threads; returns the frames read and the seconds that it took."""
    batches = [
        [bench.pictures[(start + i) % len(bench.pictures)] for i in range(batch)]
        for start in range(0, len(bench.pictures), batch)
    ]
    reader.read_batch(batches[0])
    began = time.perf_counter()
    end = began + bench.seconds

    def work(first: int) -> int:
        done = 0
        for images in itertools.cycle(batches[first % len(batches) :] + batches[: first % len(batches)]):
            if time.perf_counter() >= end:
                break
            reader.read_batch(images)
            done += len(images)
        return done

    with ThreadPoolExecutor(threads) as pool:
        frames = sum(pool.map(work, range(threads)))
    return frames, time.perf_counter() - began


def _engine_alone(
    bench: Bench, part: Part, precision: str, label: str, options: Mapping[str, bool]
) -> dict[str, Any]:
    """Measures one engine in one variant, at each size and batch; the default's speeds are kept."""
    bundle = bench.bundle
    sizes: Sequence[Size] = bench.sizes()
    name = bundle.det.input_name
    if part == "rec":
        name, sizes = bundle.rec.input_name, [(bundle.rec.height, width) for width in bundle.rec.widths]
    found: dict[str, Any] = {}
    try:
        with closing(
            TensorRTBackend(bundle.model(part, precision), folder=bench.folder, **options)
        ) as backend:
            for size, batch in itertools.product(sizes, sorted(set(bench.settings.batches))):
                images = np.random.default_rng(0).integers(0, 256, (batch, *size, 3), np.uint8)
                rate = batch * in_flight(backend, {name: images}, bench.seconds)
                found[f"{part} {precision} {size[1]}x{size[0]} batch {batch}{label}"] = {
                    "images_per_second": round(rate, 1),
                    **latency(backend, {name: images}, bench.seconds / 2),
                    "graph_refusal": backend.graph_refusal,
                }
                if not label:
                    bench.speeds[part, precision] = max(bench.speeds.get((part, precision), 0.0), rate)
    except EdgeLprError as e:
        found[f"{part} {precision}{label}"] = {"error": str(e)}
    return found
