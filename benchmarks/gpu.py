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
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge_lpr.backends.tensorrt.api import TensorRT
from edge_lpr.backends.tensorrt.backend import this_machine
from edge_lpr.backends.tensorrt.cuda import open_gpu
from edge_lpr.benchmarks import gpu_parts as parts
from edge_lpr.benchmarks.gpu_measures import Image
from edge_lpr.bundle.manifest import Bundle, load_bundle
from edge_lpr.console import tables
from edge_lpr.datasets.labels import Sample, load_labels
from edge_lpr.engines.build import build_jobs
from edge_lpr.engines.build_settings import BuildSettings
from edge_lpr.engines.timing_cache import slug
from edge_lpr.environment import tool
from edge_lpr.errors import EdgeLprError, InputError
from edge_lpr.io.atomic_io import write_bytes
from edge_lpr.io.image_io import read_image
from edge_lpr.pipeline.detector import input_size
from edge_lpr.pipeline.settings import DetectorSettings
from edge_lpr.precisions import PRECISIONS

Step = Callable[[], dict[str, Any]]

SAMPLE_VIDEO = Path("samples") / "street.mp4"
QUERY = "clocks.sm,clocks.mem,clocks.max.sm,power.limit,temperature.gpu,pstate,utilization.gpu"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark.

    Args:
        argv: Arguments without the program's name; None takes those of the process.

    Returns:
        0 when every part was done, 1 when one failed, 2 for bad input.
    """
    args = _parser().parse_args(argv)
    try:
        return _run(args)
    except EdgeLprError as e:
        print(f"benchmarks.gpu: {e}", file=sys.stderr)
        return e.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m edge_lpr.benchmarks.gpu",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
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
    add("--batch", nargs="+", type=int, default=[1, 8], metavar="N", help="(default: 1 8)")
    add("--det-size", nargs="+", default=[], metavar="WxH", help="(default: the images' two commonest)")
    add("--tactic-sources", nargs="+", default=[], metavar="NAME", help="as edge-lpr build")
    add("--optimization-level", type=int, metavar="0-5", help="as edge-lpr build")
    add("--images", type=int, default=64, metavar="N", help="at most so many (default: %(default)s)")
    add("--seconds", type=float, default=1.5, help="of each measurement of speed (default: %(default)s)")
    add("--minutes", type=float, default=9.5, help="after which no part is begun (default: %(default)s)")
    add("--engines", type=Path, metavar="DIR", help="build there, and take what is there (default: anew)")
    add("--out", type=Path, metavar="FILE", help="the JSON (default: benchmarks/results/gpu-NAME.json)")
    add("--dry-run", action="store_true", help="run only what needs no GPU")
    return parser


def _run(args: argparse.Namespace) -> int:
    bundle = load_bundle(args.bundle)
    samples = load_labels([args.data]).scenes if args.data else []
    most = args.images
    images = _images(samples, Path(args.video), most)
    with tempfile.TemporaryDirectory(prefix="edge-lpr-gpu-") as folder:
        bench = parts.Bench(
            bundle=bundle,
            folder=args.engines or Path(folder),
            precisions=_by_engine_rank(args.precision or bundle.precisions()),
            settings=BuildSettings(
                batches=tuple(args.batch),
                det_sizes=tuple(args.det_size) or _common_sizes(bundle, images),
                optimization_level=args.optimization_level,
                tactic_sources=tuple(name.upper() for name in args.tactic_sources),
            ),
            images=images,
            samples=samples[:most],
            seconds=args.seconds,
            deadline=time.monotonic() + 60 * args.minutes,
        )
        machine, steps = _steps(bench, args.dry_run)
        out = args.out or Path("benchmarks") / "results" / f"gpu-{_file_name(machine)}.json"
        report = {
            "command": ["python", "-m", "edge_lpr.benchmarks.gpu", *sys.argv[1:]],
            "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "dry_run": args.dry_run,
            "machine": machine,
            "bundle": bundle.name,
            "precisions": list(bench.precisions),
            "flags": bench.settings.flags(),
        }
        earlier = _earlier(out, report)
        done = run_parts(
            steps, bench.left, lambda so_far: _write(out, {**report, "parts": _joined(earlier, so_far)})
        )
    for line in table(machine, _joined(earlier, done)):
        print(line)
    print(f"written: {out}")
    return 1 if any(part["state"] == "failed" for part in done.values()) else 0


def _by_engine_rank(names: Sequence[str]) -> list[str]:
    """Orders precisions: first what is run by default, where memory is watched too."""
    return sorted(names, key=lambda name: PRECISIONS[name].engine_rank)


def run_parts(
    steps: Mapping[str, Step | str], left: Callable[[], float], keep: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """Runs the parts one after the other; what one did is kept before the next begins.

    Args:
        steps: The parts by name; a text in place of one is the reason why it does not run.
        left: Seconds until no part may begin any more.
        keep: Called after each part with all results so far.

    Returns:
        For each part its state ("done", "failed", "not run"), seconds, and result or reason.
    """
    done: dict[str, Any] = {}
    for name, step in steps.items():
        began = time.perf_counter()
        if isinstance(step, str):
            done[name] = {"state": "not run", "reason": step}
        elif left() <= 0:
            done[name] = {"state": "not run", "reason": "the time was up"}
        else:
            print(f"{name} … ({left():.0f} s left)", file=sys.stderr, flush=True)
            try:
                result = step()
                broken = [
                    key for key, value in result.items() if isinstance(value, dict) and "error" in value
                ]
                done[name] = {"state": "failed" if broken else "done", "result": result}
                if broken:
                    done[name]["reason"] = f"no result for {', '.join(broken)}"
            except Exception as e:  # whatever it is, the other parts shall not be lost
                reason = str(e) if isinstance(e, EdgeLprError) else f"{type(e).__name__}: {e}"
                done[name] = {"state": "failed", "reason": reason}
                if not isinstance(e, EdgeLprError):
                    traceback.print_exc()
            done[name]["seconds"] = round(time.perf_counter() - began, 1)
            done[name]["ended"] = datetime.now(timezone.utc).isoformat(timespec="seconds")
        keep(done)
    return done


def table(machine: Mapping[str, Any], done: Mapping[str, Any]) -> list[str]:
    """Lays the report out in lines."""
    lines = [", ".join(f"{key} {value}" for key, value in machine.items() if value)]
    for name, part in done.items():
        lines.append(f"{name}: {part['state']}{', ' + part['reason'] if 'reason' in part else ''}")
        rows = []
        for key, value in part.get("result", {}).items():
            if isinstance(value, dict):
                shown = "  ".join(f"{k} {_short(v)}" for k, v in value.items() if v not in ("", None, [], {}))
                rows.append([f"  {key}", shown])
            else:
                rows.append([f"  {key}", _short(value)])
        lines += tables.table(rows, left=(0, 1), head=False).splitlines()
    return lines


def _steps(bench: parts.Bench, dry_run: bool) -> tuple[dict[str, Any], dict[str, Step | str]]:
    """Opens the GPU; returns what the machine is, and the parts or why they do not run."""
    machine: dict[str, Any] = {
        "cpu": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "tool": tool(),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
    }
    steps: dict[str, Step | str] = {
        "reference": partial(parts.reference, bench),
        "host": partial(parts.host, bench),
    }
    if dry_run:
        return machine, {**steps, **dict.fromkeys(_gpu_steps(bench, None), "dry run")}
    api = TensorRT(open_gpu())
    here = this_machine(api)
    machine = {**vars(here), "memory_mib": api.gpu.memory >> 20, "clocks": _clocks(), **machine}
    return machine, {**steps, **_gpu_steps(bench, api)}


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


def _file_name(machine: Mapping[str, Any]) -> str:
    return f"{slug(machine['gpu'])}-trt{machine['tensorrt']}" if "gpu" in machine else "dry-run"


def _earlier(path: Path, report: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the parts that an earlier call left, of the same bundle and settings on the same machine."""
    try:
        found = json.loads(path.read_bytes())
        same = all(found["machine"].get(key) == report["machine"].get(key) for key in ("gpu", "tensorrt"))
        if not same or any(found[key] != report[key] for key in ("bundle", "flags", "dry_run")):
            return {}
        return {name: part for name, part in found["parts"].items() if not _idle(part)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _joined(earlier: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """Puts what was done now in the place of what was done before; what was not run leaves it."""
    return {**now, **{name: part for name, part in earlier.items() if _idle(now.get(name))}}


def _idle(part: Mapping[str, Any] | None) -> bool:
    return part is None or part["state"] == "not run"


def _write(path: Path, report: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, (json.dumps(report, indent=1, ensure_ascii=False) + "\n").encode())


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}"
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else str(value)
    return text if len(text) <= 100 else text[:97] + "..."


if __name__ == "__main__":
    sys.exit(main())
