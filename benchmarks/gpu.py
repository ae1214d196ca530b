"""Everything that only a GPU can show, in one unattended command of at most ten minutes.

    python -m edge_lpr.benchmarks.gpu [BUNDLE] [--data FOLDER] [--engines DIR] [--json FILE]

Builds the engines of a bundle, compares what they read with ONNX Runtime in FP32, measures the engines alone,
their layers and the pipeline, watches memory over 10,000 frames, and shows engines that must be refused. One
precision is done from end to end before the next begins, and each part is a process of its own: one that
fails or crashes is named, the others go on, one that is at work when the time is up is ended, and the JSON is
written anew after each. With --engines DIR a second call takes up the engines that a first one built. With
--dry-run, on any machine, only what needs no GPU is run: arguments, images, reference, and the host's share.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge_lpr.backends.tensorrt.api import TensorRT
from edge_lpr.benchmarks import gpu_parts as parts
from edge_lpr.benchmarks.gpu_bench import Bench
from edge_lpr.benchmarks.gpu_clocks import power_mode
from edge_lpr.benchmarks.gpu_process import load_shared, run_part, save_shared, write_result
from edge_lpr.benchmarks.gpu_report import Step, earlier_parts, finite, joined, run_parts, table
from edge_lpr.bundle.manifest import Bundle, load_bundle
from edge_lpr.console.module_main import Parser, module_main
from edge_lpr.console.output import say, show
from edge_lpr.datasets.labels import Sample, label_inputs, load_labels
from edge_lpr.devices import add_device_option, check_device
from edge_lpr.engines.build import build_jobs
from edge_lpr.engines.commands._options import add_build_options, settings_from
from edge_lpr.engines.timing_cache import slug
from edge_lpr.environment import machine, tool
from edge_lpr.errors import EdgeLprError, InputError
from edge_lpr.io.atomic_io import create_folder, write_bytes, write_json
from edge_lpr.io.claims import check_outputs, files_in
from edge_lpr.io.image_io import read_image
from edge_lpr.pipeline.detector import input_size
from edge_lpr.pipeline.settings import DetectorSettings
from edge_lpr.precisions import PRECISIONS, engine_precisions
from edge_lpr.types import Image

SAMPLE_VIDEO = Path("samples") / "street.mp4"
HOST_PARTS = ("reference", "host")
MACHINE = "machine"


@module_main("benchmarks.gpu")
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark.

    Args:
        argv: Arguments without the program's name; None takes those of the process.

    Returns:
        0 when every part was done, 1 when one failed, 2 for bad input.
    """
    given = sys.argv[1:] if argv is None else argv
    return _run(_parser().parse_args(given), given)


def run_one(argv: Sequence[str], name: str, folder: Path) -> None:
    """Runs one part in this process, which `gpu_process` started, and ends it.

    Args:
        argv: The benchmark's arguments.
        name: The part.
        folder: See `run_part`.
    """
    try:
        args = _parser().parse_args(argv)
        bench = _bench(args, folder)
        bench.take(load_shared(folder))
        raw: dict[str, Any] = {"result": _step(name, bench, args.dry_run)()}
        save_shared(folder, bench.share())
    except EdgeLprError as e:
        raw = {"error": str(e), "input": isinstance(e, InputError)}
    except Exception as e:
        traceback.print_exc()
        raw = {"error": f"{type(e).__name__}: {e}", "input": False}
    write_result(folder, name, finite(raw))
    sys.stderr.flush()
    # Not by way of the interpreter's end, where TensorRT's and CUDA's libraries take each other down.
    os._exit(0)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m edge_lpr.benchmarks.gpu",
        description=__doc__,
    )
    add = parser.add_argument
    add("bundle", nargs="?", metavar="BUNDLE", help="a bundle's folder (default: the one of the package)")
    add("--data", metavar="FOLDER", help="labelled images; without them agreement is measured, not accuracy")
    add(
        "--video",
        default=str(SAMPLE_VIDEO),
        help="frames to read where there is no --data (default: %(default)s)",
    )
    add("--precision", nargs="+", choices=engine_precisions(), help="(default: all that the bundle has)")
    add("--images", type=int, default=64, metavar="N", help="at most so many (default: %(default)s)")
    add("--seconds", type=float, default=1.5, help="of each measurement of speed (default: %(default)s)")
    add(
        "--minutes",
        type=float,
        default=9.5,
        help="after which it ends, whatever it is at (default: %(default)s)",
    )
    add(
        "--frames",
        type=int,
        default=10_000,
        metavar="N",
        help="to watch memory over (default: %(default)s)",
    )
    add(
        "--workers",
        type=int,
        nargs="+",
        default=[1, 2, 4, 8],
        metavar="N",
        help="batches at work at once to try (default: 1 2 4 8)",
    )
    add("--engines", type=Path, metavar="DIR", help="build there, and take what is there (default: anew)")
    add_device_option(add)
    add("--json", type=Path, metavar="FILE", help="the report (default: benchmarks/results/gpu-NAME.json)")
    add("--dry-run", action="store_true", help="run only what needs no GPU")
    add_build_options(parser, "the images' two commonest")
    return parser


def _run(args: argparse.Namespace, argv: Sequence[str]) -> int:
    bundle = load_bundle(args.bundle)
    data = label_inputs("--data", [args.data] if args.data else [])
    inputs = chain(files_in("BUNDLE", bundle.path), data, [("--video", args.video)])
    check_outputs([("--json", args.json)], inputs)
    check_device(args.device)
    with tempfile.TemporaryDirectory(prefix="edge-lpr-gpu-") as temporary:
        folder = Path(temporary)
        bench = _bench(args, folder)  # what is wrong with the input is found here
        save_shared(folder, bench.share())
        facts: dict[str, Any] = {"tool": tool(), **machine("pycuda")}
        if not args.dry_run:
            facts = {**run_part(argv, MACHINE, folder, bench.left), **facts}
        out = args.json or Path("benchmarks") / "results" / f"gpu-{_file_name(facts)}.json"
        report = {
            "command": ["python", "-m", "edge_lpr.benchmarks.gpu", *argv],
            "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "dry_run": args.dry_run,
            "machine": facts,
            "bundle": bundle.name,
            "precisions": list(bench.precisions),
            "flags": bench.settings.flags(),
        }
        create_folder(out.parent)
        steps: dict[str, Step | str] = {
            name: partial(run_part, argv, name, folder, bench.left) for name in HOST_PARTS
        }
        for name in _gpu_parts(bench):
            steps[name] = "dry run" if args.dry_run else partial(run_part, argv, name, folder, bench.left)
        earlier = earlier_parts(out, report)
        done = run_parts(
            steps, bench.left, lambda so_far: write_json(out, {**report, "parts": joined(earlier, so_far)})
        )
        _keep_raw(folder, out)
    for line in table(facts, joined(earlier, done)):
        show(line)
    say(f"written: {out}")
    return 1 if any(part["state"] == "failed" for part in done.values()) else 0


def _bench(args: argparse.Namespace, folder: Path) -> Bench:
    bundle = load_bundle(args.bundle)
    samples = load_labels([args.data]).scenes if args.data else []
    settings = settings_from(args)
    images = _images(samples, Path(args.video), args.images)
    if not settings.det_sizes:
        settings = replace(settings, det_sizes=_common_sizes(bundle, images))
    return Bench(
        bundle=bundle,
        folder=args.engines or folder / "engines",
        precisions=_by_engine_rank(
            args.precision or [name for name in bundle.precisions() if name in engine_precisions()]
        ),
        settings=settings,
        images=images,
        samples=samples[: args.images],
        seconds=args.seconds,
        deadline=time.monotonic() + 60 * args.minutes,
        device=args.device,
        frames=args.frames,
        workers=args.workers,
        raw=folder,
    )


def _by_engine_rank(names: Sequence[str]) -> list[str]:
    """Orders precisions: first what is run by default, where memory is watched too."""
    return sorted(names, key=lambda name: PRECISIONS[name].engine_rank)


def _gpu_parts(bench: Bench) -> Iterator[str]:
    """Names the parts that need a GPU, in their order."""
    for precision in bench.precisions:
        for job in build_jobs(bench.bundle, [precision], bench.settings):
            yield f"build {job.label}"
        for name in ("agreement", "throughput", "layers", "pipeline"):
            yield f"{name} {precision}"
        if precision == bench.precisions[0]:
            yield from ("refusals", "memory")


def _step(name: str, bench: Bench, dry_run: bool) -> Step:
    """Returns what does a part, in the process that runs it."""
    if name in HOST_PARTS:
        return partial(getattr(parts, name), bench)
    api = TensorRT.open(bench.device)
    if name == MACHINE:
        return lambda: {**vars(api.machine), "memory_mib": api.gpu.memory >> 20, "power_mode": power_mode()}
    kind, *rest = name.split()
    if kind == "build":
        jobs = build_jobs(bench.bundle, [rest[1]], bench.settings)
        return partial(parts.build, bench, api, next(job for job in jobs if name == f"build {job.label}"))
    precision = rest[0] if rest else bench.precisions[0]
    if kind in ("throughput", "refusals", "memory"):
        return partial(getattr(parts, kind), bench, api, precision)
    return partial(getattr(parts, kind), bench, precision)


def _keep_raw(folder: Path, out: Path) -> None:
    """Keeps TensorRT's own words about each engine beside the report."""
    for path in sorted(folder.glob("inspector-*.json")):
        write_bytes(out.with_name(f"{out.stem}.{path.name}"), path.read_bytes())


def _images(samples: Sequence[Sample], video: Path, most: int) -> list[Image]:
    """Decodes labelled images, else frames of a video."""
    if samples:
        return [read_image(sample.path) for sample in samples[:most]]
    capture = cv2.VideoCapture(str(video))
    try:
        frames: list[Image] = []
        while len(frames) < most:
            there, frame = capture.read()
            if not there:
                break
            frames.append(frame.astype(np.uint8, copy=False))
    finally:
        capture.release()
    if not frames:
        raise InputError(f"{video}: no frames to read; run it in the checkout, or give --data or --video")
    return frames


def _common_sizes(bundle: Bundle, images: Sequence[Image]) -> tuple[str, ...]:
    """The two input sizes that most of the images get, as --det-size takes them."""
    settings = DetectorSettings.for_model(bundle.det)
    sizes = Counter(input_size(bundle.det, settings, *image.shape[:2]) for image in images)
    return tuple(f"{width}x{height}" for (height, width), _ in sizes.most_common(2))


def _file_name(facts: Mapping[str, Any]) -> str:
    return f"{slug(facts['gpu'])}-trt{facts['tensorrt']}" if "gpu" in facts else "dry-run"


if __name__ == "__main__":
    raise SystemExit(main())
