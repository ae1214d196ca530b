"""The parts of `benchmarks/gpu.py`: what is measured on a GPU, each by itself."""

from __future__ import annotations

import itertools
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import numpy as np

from edge_lpr.backends.tensorrt.api import TensorRT
from edge_lpr.backends.tensorrt.backend import TensorRTBackend
from edge_lpr.backends.tensorrt.engine_folder import find_engine
from edge_lpr.benchmarks.gpu_bench import Bench
from edge_lpr.benchmarks.gpu_clocks import UnderLoad, power_mode
from edge_lpr.benchmarks.gpu_measures import (
    CountingBackend,
    ReplayBackend,
    against_engines,
    compare_reads,
    growth,
    in_flight,
    latency,
    refusal,
    resident,
    slowest_layers,
    spoilers,
    together,
    within_budget,
)
from edge_lpr.bundle.model_file import ModelFile
from edge_lpr.engines.build import BuildJob
from edge_lpr.engines.build_process import build_in_processes
from edge_lpr.engines.inspector import inspect_engine
from edge_lpr.environment import memory as resident_memory
from edge_lpr.errors import EdgeLprError
from edge_lpr.evaluation.evaluate import evaluate_reader
from edge_lpr.io.atomic_io import create_folder
from edge_lpr.pipeline.detector import fit_frame
from edge_lpr.pipeline.reader import PlateReader
from edge_lpr.precisions import PRECISIONS, REFERENCE
from edge_lpr.types import PARTS, Image, Part, Size

__all__ = [
    "agreement",
    "build",
    "host",
    "layers",
    "memory",
    "pipeline",
    "reference",
    "refusals",
    "throughput",
]

_LAYER_RUNS = 20


def reference(bench: Bench) -> dict[str, Any]:
    """Reads the images with ONNX Runtime in FP32: what everything else is compared with."""
    with bench.reader("onnxruntime", REFERENCE) as reader:
        began = time.perf_counter()
        bench.reference = [reader.read(image) for image in bench.images]
        seconds = time.perf_counter() - began
        bench.accuracy = _accuracy(bench, reader)
        return {
            "reader": reader.description,
            "images": len(bench.images),
            "plates": sum(map(len, bench.reference)),
            "frames_per_second": round(len(bench.images) / seconds, 2),
            "accuracy": bench.accuracy,
        }


def host(bench: Bench, batch: int = 8) -> dict[str, Any]:
    """Reads around networks that take no time: the most that this host lets a pipeline do, on any GPU."""
    with bench.reader("onnxruntime", REFERENCE, ReplayBackend) as reader:
        for image in bench.images:
            reader.read(image)
        rates = _rates(reader, bench, batch)[0]
    return {"images": len(bench.images), "frames_per_second_by_batches_at_work": rates}


def build(bench: Bench, api: TensorRT, job: BuildJob) -> dict[str, Any]:
    """Builds one engine, unless it is there: time, size, and the share of the work that is in INT8."""
    manifest = job.existing(bench.folder, api.machine)
    state = "there" if manifest else "built"
    if manifest is None:
        manifest = build_in_processes(
            job, bench.folder, api.machine, device=bench.device, until=bench.deadline
        )
    report = inspect_engine(api, manifest, len(job.profiles) - 1)
    if bench.raw is not None:
        name = f"inspector-{job.label.replace(' ', '-')}.json"
        (bench.raw / name).write_text(report.raw, encoding="utf-8")
    return {
        "state": state,
        "seconds": manifest.seconds,
        "megabytes": round(manifest.engine_bytes / 1e6, 2),
        "profiles": list(map(str, job.profiles)),
        "layers_by_input_type": dict(report.counts),
        "int8_share_of_multiply_adds": report.share("INT8"),
    }


def agreement(bench: Bench, precision: str) -> dict[str, Any]:
    """Compares what TensorRT reads with what ONNX Runtime read, and with the labels."""
    with bench.reader("tensorrt", precision) as reader:
        read = [reader.read(image) for image in bench.images]
        accuracy = _accuracy(bench, reader)
    compared = compare_reads(bench.reference, read)
    if precision == REFERENCE:  # where nothing was rounded: the very same boxes and texts
        equal = compared["same_texts"] == compared["images"]
        compared["reached"] = equal and compared["identical_boxes"] == compared["plates"]
    within = within_budget(bench.accuracy, accuracy, PRECISIONS[precision].budget)
    return {**compared, "accuracy": accuracy, "within_budget": within}


def throughput(bench: Bench, api: TensorRT, precision: str) -> dict[str, Any]:
    """Measures the engines alone by batch: on what lies on the GPU, and with copies there and back.

    With and without CUDA graphs. On an integrated GPU also with copies in place of the mapped memory that is
    the default there.
    """
    variants: dict[str, dict[str, Any]] = {"": {}, ", no graphs": {"graphs": False}}
    if api.gpu.integrated:
        variants[", copies"] = {"mapped": False}
    result: dict[str, Any] = {}
    with UnderLoad(bench.device) as load:
        for part, label in itertools.product(PARTS, variants):
            result.update(_engine_alone(bench, part, precision, label, variants[label]))
    return {**result, "under load": {**load.found, "power_mode": power_mode()}}


def layers(bench: Bench, precision: str) -> dict[str, Any]:
    """Measures each layer of both engines, at their largest size and batch: the slowest ones."""
    found: dict[str, Any] = {}
    batch = max(bench.settings.batches)
    for part in PARTS:
        size, model = _sizes(bench, part)[-1], bench.bundle.model(part, precision)
        with closing(_backend(bench, model, {})) as backend:
            times = backend.time_layers((batch, *size, 3), _LAYER_RUNS)
        key = f"{part} {precision} {size[1]}x{size[0]} batch {batch}"
        found[key] = {"ms": round(sum(times.values()), 3), "slowest": slowest_layers(times)}
    return found


def pipeline(bench: Bench, precision: str, batch: int = 8) -> dict[str, Any]:
    """Reads images that lie in memory, and sets the speed against what the engines alone would reach."""
    with bench.reader("tensorrt", precision, CountingBackend) as reader, UnderLoad(bench.device) as load:
        counter = reader.recognizer.backend
        assert isinstance(counter, CountingBackend)
        rates, frames = _rates(reader, bench, batch)
        sizes = [_frame(reader, image) for image in bench.images]
    crops = counter.images / frames

    def alone(speeds: Mapping[tuple[str, str, Size], float]) -> float | None:
        dets = [speeds.get(("det", precision, size)) for size in sizes]
        widths = _sizes(bench, "rec")
        rec = max((speeds.get(("rec", precision, size), 0.0) for size in widths), default=0.0)
        return together(dets, rec, crops)

    compared = against_engines(alone(bench.engine_speeds), alone(bench.speeds), rates, crops)
    return {**compared, "under load": load.found}


def memory(bench: Bench, api: TensorRT, precision: str, batch: int = 8) -> dict[str, Any]:
    """Reads thousands of frames and looks at the memory of process and device on the way."""
    from pycuda import driver

    marks: list[dict[str, float]] = []
    done = 0
    with (
        bench.reader("tensorrt", precision) as reader,
        closing(reader.read_batches(_batches(bench, batch))) as results,
    ):
        for reads in results:
            done += len(reads)
            if done % max(bench.frames // 10, 1) < batch:
                with api.gpu.active():
                    free, total = driver.mem_get_info()
                own = resident_memory() or 0
                marks.append(
                    {"frames": done, "device_mib": (total - free) / 2**20, "process_mib": own / 2**20}
                )
            if done >= bench.frames or bench.left() <= 0:
                break
    return {"precision": precision, "frames": done, "marks": marks, **growth(marks)}


def refusals(bench: Bench, api: TensorRT, precision: str) -> dict[str, Any]:
    """Spoils copies of an engine in every way that has to be noticed before it is loaded."""
    model = bench.bundle.model("det", precision)
    good = find_engine(bench.folder, model, api.machine)
    result: dict[str, Any] = {}
    for name, (change, harm) in spoilers().items():
        folder = bench.folder / f"refused-{name.replace(' ', '-')}"
        create_folder(folder)
        result[name] = refusal(good, folder, change, harm, model)
        shutil.rmtree(folder)
    return result


def _accuracy(bench: Bench, reader: PlateReader) -> dict[str, float] | None:
    """Recall and precision on the labelled images, in points; None without any."""
    if not bench.samples:
        return None
    score = evaluate_reader("e2e", reader, bench.samples).all
    return {"recall": round(100 * score.recall, 3), "precision": round(100 * score.precision, 3)}


def _rates(reader: PlateReader, bench: Bench, batch: int) -> tuple[dict[str, float], int]:
    """Returns frames per second by number of batches at work, and how many frames were read in all."""
    rates = {}
    frames = 0
    for workers in bench.workers:
        reader.workers = workers
        for reads in reader.read_batches(itertools.islice(_batches(bench, batch), 2 * workers)):
            frames += len(reads)  # every slot has set itself up and captured its graphs
        read, seconds = _read(reader, bench, batch)
        frames += read
        rates[str(workers)] = round(read / seconds, 1)
    return rates, frames


def _read(reader: PlateReader, bench: Bench, batch: int) -> tuple[int, float]:
    """Reads for a while, batch after batch; returns the frames read and the seconds that it took."""
    frames = 0
    began = time.perf_counter()
    end = began + bench.seconds
    batches = itertools.takewhile(lambda _: time.perf_counter() < end, _batches(bench, batch))
    for reads in reader.read_batches(batches):
        frames += len(reads)
    return frames, time.perf_counter() - began


def _batches(bench: Bench, batch: int) -> Iterator[list[Image]]:
    """Gives the images again and again, in batches."""
    source = itertools.cycle(bench.images)
    while True:
        yield list(itertools.islice(source, batch))


def _frame(reader: PlateReader, image: Image) -> Size:
    """Returns the detector's input size that an image is read at."""
    content = reader.detector.input_size(*image.shape[:2])
    return fit_frame(content, reader.detector.backend.sizes)[0]


def _sizes(bench: Bench, part: Part) -> Sequence[Size]:
    rec = bench.bundle.rec
    return bench.sizes() if part == "det" else [(rec.height, width) for width in rec.widths]


def _backend(bench: Bench, model: ModelFile, options: Mapping[str, Any]) -> TensorRTBackend:
    signer = bench.bundle.verify_key
    return TensorRTBackend(model, folder=bench.folder, device=bench.device, verify_key=signer, **options)


def _engine_alone(
    bench: Bench, part: Part, precision: str, label: str, options: Mapping[str, Any]
) -> dict[str, Any]:
    """Measures one engine in one variant, at each size and batch; the default's speeds are kept."""
    bundle = bench.bundle
    name = (bundle.det if part == "det" else bundle.rec).input_name
    found: dict[str, Any] = {}
    try:
        with closing(_backend(bench, bundle.model(part, precision), options)) as backend:
            batches = sorted(set(bench.settings.batches))
            for size, batch in itertools.product(_sizes(bench, part), batches):
                images = np.random.default_rng(0).integers(0, 256, (batch, *size, 3), np.uint8)
                milliseconds = resident(backend, images.shape, bench.seconds / 2)
                engine = 1e3 * batch / max(milliseconds, 1e-6)
                rate = batch * in_flight(backend, {name: images}, bench.seconds)
                found[f"{part} {precision} {size[1]}x{size[0]} batch {batch}{label}"] = {
                    "engine_images_per_second": round(engine, 1),
                    "engine_ms": round(milliseconds, 4),
                    "images_per_second": round(rate, 1),
                    **latency(backend, {name: images}, bench.seconds / 2),
                    "graph_refusal": backend.graph_refusal,
                }
                if not label:
                    key = part, precision, size
                    bench.speeds[key] = max(bench.speeds.get(key, 0.0), rate)
                    bench.engine_speeds[key] = max(bench.engine_speeds.get(key, 0.0), engine)
    except EdgeLprError as e:
        found[f"{part} {precision}{label}"] = {"error": str(e)}
    return found
