"""Video on a CPU: the vehicles that are found, and the CPU's time for it, with and without the gate.

    python -m edge_lpr.benchmarks.video --json video.json
    python -m edge_lpr.benchmarks.video --film sample --peer agentclpr --python /path/to/python
    python -m edge_lpr.benchmarks.video --film sample --before /path/to/a/worktree

In one run, on drawn films whose vehicles are known: the sample street; its first half and an empty street at
1920×1080 and 25 frames a second; a fast car; two that follow each other and one beside them; dusk; and a car
that stops. Each is read with `--gate off` and `--gate auto`, decoded anew each time, and the seconds of all
threads of this process count, those of decoding too. Ratios are what to compare between machines. Where
`--precision` is given again, each is compared with itself. With `--peer`, another reader reads each frame in
an interpreter that has it, and of the texts that it reads of a vehicle the one that passes for a plate most
often counts. With `--before`, the version of this kit in another checkout reads each film with its own
weights and follows vehicles in its own way. All these are compared with `--gate auto` of the last precision.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge_lpr.benchmarks.films import FILMS, Passage
from edge_lpr.benchmarks.peer_process import add_peer_options, check_peer_options
from edge_lpr.console.module_main import Parser, module_main
from edge_lpr.console.output import say
from edge_lpr.environment import machine
from edge_lpr.errors import BackendError
from edge_lpr.geometry import bounding_box_iou
from edge_lpr.io.atomic_io import write_json
from edge_lpr.io.claims import check_outputs
from edge_lpr.io.sources import open_source
from edge_lpr.pipeline.reader import PlateReader
from edge_lpr.pipeline.settings import TrackSettings
from edge_lpr.pipeline.stream import Stream
from edge_lpr.plates import plate_formats
from edge_lpr.precisions import PRECISIONS
from edge_lpr.types import Quad

SAMPLE = "sample"
WRONG = "wrong"
"""What stands in results for a text that no plate of the film has."""
_LIMIT = 3600.0  # seconds that another reader may take for a film
_SAMPLES = Path(__file__).resolve().parents[1] / "samples"


@dataclass
class Reading:
    """What one way to read made of one film.

    Attributes:
        events: The vehicles.
        frames: Frames read.
        seconds: The film's length.
        cpu: The CPU's seconds.
        whole: Frames that were looked at as a whole.
        share: The share of all frames together that was looked at, 0 to 1.
        errors: Frames that the reader failed at.
    """

    events: list[Passage]
    frames: int
    seconds: float
    cpu: float
    whole: int
    share: float
    errors: int = 0


@dataclass
class Vehicle:
    """What another reader saw of one vehicle.

    Attributes:
        texts: How often it read what.
        box: Where it was last, float32 4×2.
        first: When it was seen first, in seconds.
        last: When it was seen last.
    """

    texts: Counter[str]
    box: Quad
    first: float
    last: float = field(default=0.0)


def read_film(path: Path, gate: str, threads: int, precision: str = "auto") -> Reading:
    """Reads a film as `edge-lpr FILM --gate GATE --precision PRECISION` does."""
    with PlateReader(threads=threads, precision=precision, settings={"gate": gate}) as reader:
        start = time.process_time()
        with open_source(path) as source:
            stream = Stream(reader, source)
            steps = [(step.events, step.look) for step in stream]
            events = [event for found, _ in steps for event in found] + list(stream.flush().events)
            fps = source.fps or 25.0
        cpu = time.process_time() - start
    looks = [look for _, look in steps if look is not None]
    passages = [Passage(event.text, event.first_seen, event.last_seen) for event in events]
    return Reading(
        sorted(passages, key=lambda passage: passage.first),
        len(steps),
        len(steps) / fps,
        cpu,
        sum(look.windows is None for look in looks) if looks else len(steps),
        sum(look.share for look in looks) / len(looks) if looks else 1.0,
    )


def read_with_peer(
    name: str, python: str, path: Path, threads: int, checkout: str | None = None
) -> tuple[Reading, str]:
    """Reads a film with another reader, or another version of this kit; returns also that reader's version.

    Args:
        name: Which of `peer_frames.READERS` it is.
        python: The interpreter that has it.
        path: The film.
        threads: ONNX Runtime's threads.
        checkout: A folder that it looks for modules in first: another version's. None for what is there.

    Raises:
        BackendError: It cannot be run.
    """
    script = Path(__file__).with_name("peer_frames.py")
    command = [python, str(script), name, str(path), str(threads)]
    env = os.environ | ({} if checkout is None else {"PYTHONPATH": checkout})
    try:
        run = subprocess.run(command, capture_output=True, env=env, text=True, timeout=_LIMIT, check=False)
    except subprocess.TimeoutExpired as e:
        raise BackendError(f"{name} has not read {path.name} within {_LIMIT:.0f} s; it was ended") from e
    if run.returncode:
        last = (run.stderr.strip().splitlines() or ["no message"])[-1]
        raise BackendError(f"{name} cannot read {path.name} in {python}: {last}")
    told = json.loads(run.stdout.strip().splitlines()[-1])
    if "events" in told:
        passages = sorted((Passage(*event) for event in told["events"]), key=lambda passage: passage.first)
    else:
        frames = [(at, [(t, np.array(box, np.float32)) for t, box in found]) for at, found in told["frames"]]
        passages = vote(frames)
    count, seconds, cpu = told["count"], told["seconds"], told["cpu_seconds"]
    return Reading(passages, count, seconds, cpu, count, 1.0, told["errors"]), told["version"]


def vote(frames: Sequence[tuple[float, Sequence[tuple[str, Quad]]]]) -> list[Passage]:
    """Joins the texts of frames to vehicles, of each of which the commonest plate counts.

    Args:
        frames: Of each frame its time in seconds, and the texts in it with their corners, float32 4×2.

    Returns:
        The vehicles that showed a plate twice at least.
    """
    formats = plate_formats()
    vehicles: list[Vehicle] = []
    for at, found in frames:
        for raw, box in found:
            text = raw.replace("·", "").replace(" ", "")
            if not any(plate.accepts(text) for plate in formats):
                continue
            known = [v for v in vehicles if at - v.last <= TrackSettings.max_gap and _is_same(v, text, box)]
            vehicle = known[-1] if known else Vehicle(Counter(), box, at)
            if not known:
                vehicles.append(vehicle)
            vehicle.texts[text] += 1
            vehicle.box, vehicle.last = box, at
    return [Passage(v.texts.most_common(1)[0][0], v.first, v.last) for v in vehicles if v.texts.total() > 1]


def _is_same(vehicle: Vehicle, text: str, box: Quad) -> bool:
    return text in vehicle.texts or bounding_box_iou(vehicle.box, box) >= TrackSettings.min_iou


def score(reading: Reading, truth: Sequence[Passage], reference: Reading) -> dict[str, Any]:
    """Compares what was read with what the film shows, and with what is read of all of each frame.

    Returns:
        Ready for JSON: `found` vehicles of `vehicles`, `extra` events, `late` and `early`: the most seconds
        by which an event begins after its plate can be read, or ends before that is over; and `differs`, the
        most by which the beginning or end of one differs from the reference's, None where its texts do.
    """
    left, shown = list(reading.events), {passage.text for passage in truth}
    late = early = 0.0
    found = 0
    for passage in truth:
        named = [e for e in left if e.text == passage.text]
        same = [e for e in named if e.first <= passage.last and e.last >= passage.first]
        if same:
            found += 1
            left.remove(same[0])
            late, early = max(late, same[0].first - passage.first), max(early, passage.last - same[0].last)
    pairs = list(zip(sorted(reading.events, key=_key), sorted(reference.events, key=_key), strict=False))
    alike = len(reading.events) == len(reference.events) and all(a.text == b.text for a, b in pairs)
    differs = max((max(abs(a.first - b.first), abs(a.last - b.last)) for a, b in pairs), default=0.0)
    return {
        "vehicles": len(truth),
        "found": found,
        "extra": len(left),
        "late": round(late, 3),
        "early": round(early, 3),
        "differs": round(differs, 3) if alike else None,
        "frames": reading.frames,
        "errors": reading.errors,
        "seconds": round(reading.seconds, 3),
        "cpu_seconds": round(reading.cpu, 3),
        "cpu_seconds_per_hour": round(reading.cpu / reading.seconds * 3600),
        "times_faster": round(reference.cpu / reading.cpu, 2),
        "whole_looks": reading.whole,
        "share_looked_at": round(reading.share, 4),
        # A misread plate may be somebody's: no result names it.
        "events": [
            [e.text if e.text in shown else WRONG, round(e.first, 3), round(e.last, 3)]
            for e in reading.events
        ],
    }


def _key(passage: Passage) -> tuple[str, float]:
    return passage.text, passage.first


def compare(
    names: Sequence[str],
    peers: Sequence[str],
    python: str,
    threads: int,
    folder: Path,
    precisions: Sequence[str] = ("auto",),
    before: str | None = None,
) -> Iterator[dict[str, Any]]:
    """Reads each film in each way; yields after each what was measured up to there, ready for JSON."""
    films: dict[str, Any] = {}
    releases: dict[str, str] = {}
    for name in names:
        path, truth = _film(name, folder)
        films[name] = {}
        for precision in precisions:
            off, gated = (read_film(path, gate, threads, precision) for gate in ("off", "auto"))
            suffix = "" if precision == "auto" else f", {precision}"
            films[name][f"gate off{suffix}"] = score(off, truth, off)
            films[name][f"gate auto{suffix}"] = score(gated, truth, off)
        others: dict[str, tuple[str, str, str | None]] = {peer: (peer, python, None) for peer in peers}
        if before is not None:
            others["before"] = ("edge-lpr", sys.executable, before)
        for way, (reader, interpreter, checkout) in others.items():
            reading, releases[way] = read_with_peer(reader, interpreter, path, threads, checkout)
            films[name][way] = score(reading, truth, gated)
        for way, result in films[name].items():
            say(line(name, way, result))
        yield {"films": films, "peers": releases}


def line(film: str, way: str, result: dict[str, Any]) -> str:
    """Writes a result as a line."""
    return (
        f"{film:<8} {way:<20} {result['found']} of {result['vehicles']} vehicles, {result['extra']} extra, "
        f"late {result['late']:.2f} s, early {result['early']:.2f} s; "
        f"{result['cpu_seconds_per_hour']:>6} CPU-s an hour, {result['times_faster']:.2f} times as fast, "
        f"{result['share_looked_at']:.1%} looked at"
    )


def _film(name: str, folder: Path) -> tuple[Path, list[Passage]]:
    if name == SAMPLE:
        told = json.loads((_SAMPLES / "street.json").read_text(encoding="utf-8"))["street.mp4"]["plates"]
        return _SAMPLES / "street.mp4", [Passage(p["text"], p["first_seen"], p["last_seen"]) for p in told]
    path = folder / f"{name}.mp4"
    return path, FILMS[name].write(path)


@module_main("benchmarks.video")
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark; see the module's text."""
    names = (SAMPLE, *FILMS)
    parser = Parser(
        prog="python -m edge_lpr.benchmarks.video", description=(__doc__ or "").split("\n\n", maxsplit=1)[0]
    )
    parser.add_argument(
        "--film", action="append", choices=names, help="one of them, more where given again (default: all)"
    )
    add_peer_options(parser)
    parser.add_argument(
        "--precision",
        action="append",
        choices=("auto", *PRECISIONS.names()),
        help="what the networks run in, more where given again (default auto)",
    )
    parser.add_argument("--threads", type=int, default=1, help="threads of ONNX Runtime (default 1)")
    parser.add_argument("--json", help="a JSON file for the results")
    args = parser.parse_args(argv)
    check_peer_options(args)
    check_outputs([("--json", args.json)], [("samples", _SAMPLES / "street.mp4")])
    cv2.setNumThreads(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        for found in compare(
            args.film or names,
            args.peer or (),
            args.python or "",
            args.threads,
            Path(folder),
            args.precision or ("auto",),
            args.before,
        ):
            if args.json:
                write_json(args.json, {"machine": machine("av"), "threads": args.threads, **found})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
