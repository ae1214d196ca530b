"""Everything that only a GPU can show, in one unattended command of at most ten minutes.

    python -m edge_lpr.benchmarks.gpu [BUNDLE] [--data FOLDER] [--engines DIR] [--out FILE]

Builds the engines of a bundle, compares what they read with ONNX Runtime in FP32, measures the engines alone
and the pipeline, watches memory over 10,000 frames, and shows engines that must be refused. One precision is
done from end to end before the next begins, and each part stands by itself: one that fails is named, the
others go on, and the JSON is written anew after each, so that a time limit costs only what is left. With
--engines DIR a second call takes up the engines that a first one built. With --dry-run, on any machine, only
what needs no GPU is run: arguments, images, the reference, and the host's share of the work.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
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
from edge_lpr.benchmarks.gpu_report import Step, earlier_parts, joined, run_parts, table
from edge_lpr.bundle.manifest import Bundle, load_bundle
from edge_lpr.console.module_main import Parser, module_main
from edge_lpr.console.output import say, show
from edge_lpr.datasets.labels import Sample, label_inputs, load_labels
from edge_lpr.devices import add_device_option
from edge_lpr.engines.build import build_jobs
from edge_lpr.engines.commands._options import add_build_options, settings_from
from edge_lpr.engines.timing_cache import slug
from edge_lpr.environment import machine, tool
from edge_lpr.errors import InputError
from edge_lpr.io.atomic_io import create_folder, write_json
from edge_lpr.io.claims import check_outputs, files_in
from edge_lpr.io.image_io import read_image
from edge_lpr.pipeline.detector import input_size
from edge_lpr.pipeline.settings import DetectorSettings
from edge_lpr.precisions import PRECISIONS
from edge_lpr.types import Image

SAMPLE_VIDEO = Path("samples") / "street.mp4"
QUERY = "clocks.sm,clocks.mem,clocks.max.sm,power.limit,temperature.gpu,pstate,utilization.gpu"


@module_main("benchmarks.gpu")
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark.

    Args:
        argv: Arguments without the program's name; None takes those of the process.

    Returns:
        0 when every part was done, 1 when one failed, 2 for bad input.
    """
    return _run(_parser().parse_args(argv))


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
    add("--precision", nargs="+", choices=PRECISIONS.names(), help="(default: all that the bundle has)")
    add("--images", type=int, default=64, metavar="N", help="at most so many (default: %(default)s)")
    add("--seconds", type=float, default=1.5, help="of each measurement of speed (default: %(default)s)")
    add("--minutes", type=float, default=9.5, help="after which no part is begun (default: %(default)s)")
    add("--engines", type=Path, metavar="DIR", help="build there, and take what is there (default: anew)")
    add_device_option(add)
    add("--out", type=Path, metavar="FILE", help="the JSON (default: benchmarks/results/gpu-NAME.json)")
    add("--dry-run", action="store_true", help="run only what needs no GPU")
    add_build_options(parser, "the images' two commonest")
    return parser


def _run(args: argparse.Namespace) -> int:
    bundle = load_bundle(args.bundle)
    data = label_inputs("--data", [args.data] if args.data else [])
    inputs = chain(files_in("BUNDLE", bundle.path), data, [("--video", args.video)])
    check_outputs([("--out", args.out)], inputs)
    samples = load_labels([args.data]).scenes if args.data else []
    most = args.images
    settings = settings_from(args)
    images = _images(samples, Path(args.video), most)
    if not settings.det_sizes:
        settings = replace(settings, det_sizes=_common_sizes(bundle, images))
    with tempfile.TemporaryDirectory(prefix="edge-lpr-gpu-") as folder:
        bench = parts.Bench(
            bundle=bundle,
            folder=args.engines or Path(folder),
            precisions=_by_engine_rank(args.precision or bundle.precisions()),
            settings=settings,
            images=images,
            samples=samples[:most],
            seconds=args.seconds,
            deadline=time.monotonic() + 60 * args.minutes,
        )
        facts, steps = _steps(bench, args.dry_run)
        out = args.out or Path("benchmarks") / "results" / f"gpu-{_file_name(facts)}.json"
        report = {
            "command": ["python", "-m", "edge_lpr.benchmarks.gpu", *sys.argv[1:]],
            "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "dry_run": args.dry_run,
            "machine": facts,
            "bundle": bundle.name,
            "precisions": list(bench.precisions),
            "flags": bench.settings.flags(),
        }
        create_folder(out.parent)
        earlier = earlier_parts(out, report)
        done = run_parts(
            steps, bench.left, lambda so_far: write_json(out, {**report, "parts": joined(earlier, so_far)})
        )
    for line in table(facts, joined(earlier, done)):
        show(line)
    say(f"written: {out}")
    return 1 if any(part["state"] == "failed" for part in done.values()) else 0


def _by_engine_rank(names: Sequence[str]) -> list[str]:
    """Orders precisions: first what is run by default, where memory is watched too."""
    return sorted(names, key=lambda name: PRECISIONS[name].engine_rank)


def _steps(bench: parts.Bench, dry_run: bool) -> tuple[dict[str, Any], dict[str, Step | str]]:
    """Opens the GPU; returns the facts of the machine, and the parts or why they do not run."""
    facts = {"tool": tool(), **machine("pycuda")}
    steps: dict[str, Step | str] = {
        "reference": partial(parts.reference, bench),
        "host": partial(parts.host, bench),
    }
    if dry_run:
        return facts, {**steps, **dict.fromkeys(_gpu_steps(bench, None), "dry run")}
    api = TensorRT.open()
    gpu = {**vars(api.machine), "memory_mib": api.gpu.memory >> 20, "clocks": _clocks()}
    return {**gpu, **facts}, {**steps, **_gpu_steps(bench, api)}


def _gpu_steps(bench: parts.Bench, api: Any) -> dict[str, Step]:  # noqa: ANN401 (None in a dry run)
    steps: dict[str, Step] = {}
    for precision in bench.precisions:
        for job in build_jobs(bench.bundle, [precision], bench.settings):
            steps[f"build {job.label}"] = partial(parts.build, bench, api, job)
        steps[f"agreement {precision}"] = partial(parts.agreement, bench, precision)
        steps[f"throughput {precision}"] = partial(parts.throughput, bench, api, precision)
        steps[f"pipeline {precision}"] = partial(parts.pipeline, bench, precision)
        if precision == bench.precisions[0]:
            steps["refusals"] = partial(parts.refusals, bench, api, precision)
            steps["memory"] = partial(parts.memory, bench, api, precision)
    return steps


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


def _clocks() -> str:
    """What nvidia-smi says of clocks, power and load; empty where there is none (Jetson)."""
    command = ["nvidia-smi", f"--query-gpu={QUERY}", "--format=csv,noheader"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return found.stdout.strip()


def _file_name(facts: Mapping[str, Any]) -> str:
    return f"{slug(facts['gpu'])}-trt{facts['tensorrt']}" if "gpu" in facts else "dry-run"


if __name__ == "__main__":
    raise SystemExit(main())
