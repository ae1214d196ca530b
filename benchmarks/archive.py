"""What `edge-lpr archive` makes of the cores that a machine has, and what a large archive would take.

    python -m edge_lpr.benchmarks.archive --json benchmarks/results/archive.json
    python -m edge_lpr.benchmarks.archive --from benchmarks/results/archive.json --pictures 1e9 --hours 1e5

Measured are three things in turn, `--rounds` times: the plain command with one thread, `archive` with a
reader a core, and, for what the machine itself gives, one and as many bare sessions of the detector as there
are cores. Rates depend on what else the machine does; ratios, and CPU seconds per picture, do so less, so
each round gives its own ratios and the middle one counts. The pictures are the frames of the sample video as
JPEG. The second line computes on paper, from what the first one wrote.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from edge_lpr.backends import open_models
from edge_lpr.benchmarks.process_tree import cpu_seconds, family
from edge_lpr.bundle.manifest import load_bundle
from edge_lpr.console.module_main import Parser, module_main
from edge_lpr.console.output import say, show
from edge_lpr.console.tables import table
from edge_lpr.environment import cores, machine
from edge_lpr.errors import InputError, SettingError
from edge_lpr.io.atomic_io import create_folder, write_json
from edge_lpr.io.bounded_io import read_bounded
from edge_lpr.io.claims import check_outputs
from edge_lpr.io.image_io import decode_image, encode_image
from edge_lpr.io.sources import open_source

if TYPE_CHECKING:
    from edge_lpr.archive.worker import UnitResult

SAMPLE = Path(__file__).resolve().parents[1] / "samples" / "street.mp4"
_SESSION_SECONDS = 6.0
_DECODED = 96  # pictures


def measure(video: Path, copies: int, rounds: int, block: int) -> dict[str, Any]:
    """Measures on this machine.

    Args:
        video: Whose frames are the pictures.
        copies: How often each frame is a picture.
        rounds: How often everything is measured.
        block: Pictures in a unit.

    Returns:
        What `results/archive.json` has.

    Raises:
        SettingError: There are no more pictures than one unit has.
    """
    with tempfile.TemporaryDirectory() as folder:
        pictures = Path(folder, "pictures")
        count = _write_pictures(video, copies, pictures)
        if count <= block:
            raise SettingError(
                f"--block {block}: all {count} pictures are one unit; expected two units or more"
            )
        size = sum(path.stat().st_size for path in pictures.iterdir()) / count
        found = [
            {
                "load_before": round(os.getloadavg()[0], 2),
                "plain": _plain(pictures, count),
                "decode_cpu_seconds": _decoding(pictures),
                "archive": _archive(pictures, Path(folder, f"out{number}"), block),
                "sessions": {str(n): _sessions(n) for n in sorted({1, cores()})},
            }
            for number in range(rounds)
        ]
    return {
        "machine": machine("ray", "pyarrow"),
        "pictures": count,
        "picture_bytes": round(size),
        "rounds": found,
        "median": _medians(found),
    }


def sizing(measured: dict[str, Any], pictures: float, hours: float, fps: float) -> dict[str, float]:
    """Computes what an archive takes, from what was measured.

    Args:
        measured: What `measure` returned.
        pictures: How many pictures there are.
        hours: Hours of video, each frame of which is looked at as a whole.
        fps: Frames per second of the video.
    """
    middle = measured["median"]
    images = pictures + hours * 3600 * fps
    core_hours = images * middle["archive_cpu_seconds"] / 3600
    return {
        "images": images,
        "core_hours": core_hours,
        "hours_on_1000_cores": core_hours / 1000,
        "read_terabytes": pictures * measured["picture_bytes"] / 1e12,
        "read_megabytes_per_second_on_1000_cores": measured["picture_bytes"]
        * 1000
        / middle["archive_cpu_seconds"]
        / 1e6,
        "decoding_core_hours": images * middle["decode_cpu_seconds"] / 3600,
        "plan_gigabytes": pictures * middle["plan_bytes_per_picture"] / 1e9,
        "row_gigabytes": images * middle["row_bytes_per_picture"] / 1e9,
        "units_of_500": images / 500,
    }


def _write_pictures(video: Path, copies: int, folder: Path) -> int:
    create_folder(folder)
    count = 0
    with open_source(video) as source:
        for frame in source:
            data = encode_image(frame.image, ".jpg")
            assert data is not None
            for _ in range(copies):
                (folder / f"{count:06}.jpg").write_bytes(data)
                count += 1
    return count


def _plain(pictures: Path, count: int) -> dict[str, float]:
    words = ["--precision", "fp32", "--threads", "1", "--quiet", "--jsonl", os.devnull]
    before, began = os.times(), time.monotonic()
    subprocess.run([sys.executable, "-m", "edge_lpr", str(pictures), *words], check=True)
    seconds, after = time.monotonic() - began, os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return {"rate": count / seconds, "cpu_seconds": cpu / count}


def _decoding(pictures: Path) -> float:
    """Returns what decoding a picture alone takes one core, in seconds."""
    files = sorted(pictures.iterdir())[:_DECODED]
    data = [file.read_bytes() for file in files]
    cv2.setNumThreads(1)
    began = time.process_time()
    for one in data:
        decode_image(one, "picture")
    return (time.process_time() - began) / len(data)


def _archive(pictures: Path, out: Path, block: int) -> dict[str, float]:
    """Measures as a whole, and from the first unit that is done, when readers have started, to the last."""
    from edge_lpr.archive.job import Job
    from edge_lpr.archive.run import ArchiveRun
    from edge_lpr.archive.settings import ReaderSettings
    from edge_lpr.archive.store import Store

    job = Job((str(pictures),), models={"precision": "fp32"}, block=block).with_bundle()
    run = ArchiveRun(Store(out), job, ReaderSettings())
    units, failures = run.prepare(resume=False)
    done: list[tuple[float, UnitResult]] = []
    tree = 0.0

    def note(one: UnitResult) -> None:
        nonlocal tree
        done.append((time.monotonic(), one))
        tree = max(tree, sum(map(cpu_seconds, family(os.getpid())[1:])))  # Ray's own and the readers

    began = time.monotonic()
    summary = run.run(units, failures, note)
    frames = sum(one.frames for _, one in done)
    return {
        "readers": summary.readers,
        "rate": frames / (done[-1][0] - began),
        "steady_rate": (frames - done[0][1].frames) / (done[-1][0] - done[0][0]),
        "cpu_seconds": sum(one.cpu for _, one in done) / frames,
        "tree_cpu_seconds": tree / frames,
        "rows": float(summary.rows),
        "row_bytes": run.store.bytes()["rows"] / frames,
        "plan_bytes": run.store.units.stat().st_size / frames,
    }


def _sessions(count: int) -> float:
    """Runs bare sessions of the detector side by side; returns runs per second of all together."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(count) as pool:
        return sum(pool.map(_session, range(count), chunksize=1))


def _session(_: int) -> float:
    models = open_models(load_bundle(), precision="fp32", options={"threads": 1})
    image = np.random.default_rng(5).integers(0, 256, (1, 736, 1312, 3), np.uint8)
    models.det.run({load_bundle().det.input_name: image})
    count, began = 0, time.monotonic()
    while time.monotonic() - began < _SESSION_SECONDS:
        models.det.run({load_bundle().det.input_name: image})
        count += 1
    return count / (time.monotonic() - began)


def _medians(rounds: Sequence[dict[str, Any]]) -> dict[str, float]:
    most = str(cores())

    def middle(values: Sequence[float], digits: int = 3) -> float:
        return round(statistics.median(values), digits)

    return {
        "plain_rate": middle([one["plain"]["rate"] for one in rounds]),
        "archive_rate": middle([one["archive"]["rate"] for one in rounds]),
        "archive_steady_rate": middle([one["archive"]["steady_rate"] for one in rounds]),
        "ratio": middle([one["archive"]["rate"] / one["plain"]["rate"] for one in rounds]),
        "steady_ratio": middle([one["archive"]["steady_rate"] / one["plain"]["rate"] for one in rounds]),
        "sessions_ratio": middle([one["sessions"][most] / one["sessions"]["1"] for one in rounds]),
        "plain_cpu_seconds": middle([one["plain"]["cpu_seconds"] for one in rounds], 4),
        "archive_cpu_seconds": middle([one["archive"]["cpu_seconds"] for one in rounds], 4),
        "decode_cpu_seconds": middle([one["decode_cpu_seconds"] for one in rounds], 5),
        "plan_bytes_per_picture": middle([one["archive"]["plan_bytes"] for one in rounds], 1),
        "row_bytes_per_picture": middle([one["archive"]["row_bytes"] for one in rounds], 1),
    }


@module_main("benchmarks.archive")
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command."""
    parser = Parser(prog="python -m edge_lpr.benchmarks.archive", description=__doc__)
    parser.add_argument("--video", default=str(SAMPLE), metavar="FILE", help="whose frames are the pictures")
    parser.add_argument("--copies", type=int, default=3, metavar="N", help="pictures of each frame (3)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="how often all is measured (3)")
    parser.add_argument("--block", type=int, default=8, metavar="N", help="pictures in a unit (8)")
    parser.add_argument("--json", metavar="FILE", help="write what was measured")
    add = parser.add_argument_group("on paper").add_argument
    add("--from", dest="measured", metavar="FILE", help="compute from what --json has written")
    add("--pictures", type=float, default=1e9, metavar="N", help="pictures (1e9)")
    add("--hours", type=float, default=0.0, metavar="N", help="hours of video (0)")
    add("--fps", type=float, default=25.0, metavar="N", help="frames a second of it (25)")
    args = parser.parse_args(argv)
    if args.measured:
        try:
            data = json.loads(read_bounded(args.measured, 1 << 20, "a result", InputError))
            sized = sizing(data, args.pictures, args.hours, args.fps)
        except (ValueError, KeyError, TypeError) as e:
            raise InputError(f"{args.measured}: not written by this command with --json ({e!r})") from e
        show(table([(name.replace("_", " "), f"{value:,.1f}") for name, value in sized.items()]))
        return 0
    for name in ("copies", "rounds", "block"):
        if getattr(args, name) < 1:
            raise SettingError(f"--{name} {getattr(args, name)}: must be an integer ≥ 1")
    check_outputs([("--json", args.json)], [("--video", args.video)])
    measured = measure(Path(args.video), args.copies, args.rounds, args.block)
    if args.json:
        write_json(args.json, measured)
    show(table([(name.replace("_", " "), f"{value:g}") for name, value in measured["median"].items()]))
    where = measured["machine"]
    say(f"{measured['pictures']} pictures, {where['cores']} cores of {where['cpu']}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
