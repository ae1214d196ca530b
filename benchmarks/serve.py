"""How many cameras the service reads on a core and on a machine, and at what recall of events.

    python -m edge_lpr.benchmarks.serve --cameras 1 2 4 8 --json serve.json
    python -m edge_lpr.benchmarks.serve --soak 100000 --cameras 4 --fps 25 --zoom 0.3333 --quiet 52

Each camera is a drawn street whose vehicles are known, over and over, as H.264 from GStreamer's RTSP server
on 127.0.0.1. `edge-lpr serve` runs as users run it, with its page and an output of files. For a whole number
of turns of the film it is counted which vehicles were told of, how long an event took from its frame to the
disk, and what CPU and memory all its processes took. `--quiet` adds seconds of an empty street to each turn:
what a gate sees. With `--soak` so many frames are read, and memory, threads and open files are looked at
meanwhile; those that were passed over do not count. Linux alone: the processes are looked at in /proc.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from edge_lpr.benchmarks.rtsp_films import GstServer, gst_python, write_h264
from edge_lpr.benchmarks.serve_run import Look, quantile, serving
from edge_lpr.console.interrupts import Interrupts
from edge_lpr.console.module_main import Parser, module_main
from edge_lpr.console.output import say
from edge_lpr.counting import counted
from edge_lpr.environment import machine
from edge_lpr.errors import BackendError
from edge_lpr.finetune.synthesis.street.film import STREET, film
from edge_lpr.io.atomic_io import write_json
from edge_lpr.io.claims import check_outputs
from edge_lpr.pipeline.wall_clock import parse_iso
from edge_lpr.types import Image

__all__ = ["measure", "recall", "row", "soak"]

_WARM_UP = 10.0  # seconds before anything counts
_AFTER = 5.0  # seconds that it goes on, for what has begun by then
_STREET = 8.0  # seconds after which the last vehicle of the street has gone by
_POLL = 0.2
_STANDS_STILL = 60.0  # seconds without a frame, after which nothing is waited for
_MIB = 1 << 20


class Watched(Protocol):
    """What is needed of a service here; `Run` is one."""

    def look(self) -> Look:
        """Looks at it; see `Run.look`."""
        ...


def measure(run: Watched, cameras: Sequence[str], frames: int, turns: int) -> dict[str, Any]:
    """Watches a service for so many turns of the film.

    Args:
        run: The service.
        cameras: The names of its cameras.
        frames: How many frames a turn has.
        turns: How many turns.

    Returns:
        What was measured but for the events, ready for JSON; `window` has the beginning and the end, in
        seconds of the epoch.

    Raises:
        BackendError: A camera stands still.
    """
    time.sleep(_WARM_UP)
    before = after = run.look()
    moved, least = before.time, 0.0
    # By the frames that came, for a server under load does not keep the time to the last percent.
    while least < turns * frames:
        if after.time - moved > _STANDS_STILL:
            raise BackendError(f"a camera stands still: no frame of it for {_STANDS_STILL:.0f} s")
        time.sleep(_POLL)
        after = run.look()
        came = min(_came(before, after, one) for one in cameras)
        if came > least:
            moved, least = after.time, came
    # Who came into view just now is told of in a moment, and not if the service is ended at once.
    time.sleep(_AFTER)
    seconds = after.time - before.time
    read, dropped = (_grown(f"edge_lpr_camera_{kind}_total", before, after) for kind in ("frames", "dropped"))
    cpu = after.cpu - before.cpu
    return {
        "cameras": len(cameras),
        "seconds": round(seconds, 1),
        "window": [before.wall, after.wall],
        "frames_come": round(read + dropped),
        "frames_read": round(read),
        "frames_read_a_second": round(read / seconds, 1),
        "share_read": round(read / (read + dropped), 4),
        "reconnects": round(_grown("edge_lpr_camera_reconnects_total", before, after)),
        "cpu_cores": round(cpu / seconds, 3),
        "cpu_cores_a_camera": round(cpu / seconds / len(cameras), 3),
        "cpu_ms_a_frame_read": round(1000 * cpu / read, 2),
        "latency_seconds": {
            f"p{round(q * 100)}": None if (found := quantile(q, before, after)) is None else round(found, 3)
            for q in (0.5, 0.95, 0.99)
        },
        "memory_mib": round(after.memory / _MIB, 1),
        "decoders_mib": round(after.decoders / _MIB, 1),
    }


def recall(events: Sequence[dict[str, Any]], result: dict[str, Any], turns: int) -> dict[str, Any]:
    """Compares what was told with what the films show.

    Args:
        events: The records of a run.
        result: What `measure` returned; its `window` is taken out of it.
        turns: How often each vehicle came by at each camera within the window.

    Returns:
        Ready for JSON: `vehicles` that came by, those that were `found` with the right text, events that were
        `wrong`, with a text that no vehicle has, and `again`: a vehicle told more often than it came.
    """
    start, stop = result.pop("window")
    truth = {trajectory.plate.text for trajectory in STREET}
    texts: dict[str, tuple[str, str]] = {}
    for one in events:  # the last that is told of a passage counts
        if start <= parse_iso(one["first_utc"]).timestamp() < stop:
            texts[one["id"]] = one["camera"], one["text"]
    told = Counter(texts.values())
    right = {key: count for key, count in told.items() if key[1] in truth}
    found = sum(min(count, turns) for count in right.values())
    vehicles = result["cameras"] * len(truth) * turns
    return {
        "vehicles": vehicles,
        "found": found,
        "recall": round(found / vehicles, 4),
        "wrong": sum(told.values()) - sum(right.values()),
        "again": sum(max(0, count - turns) for count in right.values()),
    }


def soak(run: Watched, frames: int) -> dict[str, Any]:
    """Has a service read so many frames, and looks at it meanwhile.

    Returns:
        Ready for JSON: of each figure what it was after each tenth of the frames, and the most after one.

    Raises:
        BackendError: No camera gives frames.
    """
    looks: list[Look] = []
    step, due = frames // 100, 0
    began = moved = time.monotonic()
    read = 0
    while True:
        look = run.look()
        before, read = read, _read(look)
        if read > before:
            moved = look.time
        elif look.time - moved > _STANDS_STILL:
            raise BackendError(f"no camera has given a frame for {_STANDS_STILL:.0f} s, after {read}")
        if read >= min(due, frames):  # the last one always, however few frames after the one before
            looks.append(look)
            due = read + step
        if read >= frames:
            break
        time.sleep(_POLL)
    tenths = [next(one for one in looks if _read(one) >= frames * n / 10) for n in range(1, 11)]
    settled = looks[looks.index(tenths[0]) :]
    figures: dict[str, Any] = {}
    for name, unit in (("memory", _MIB), ("decoders", _MIB), ("threads", 1), ("descriptors", 1)):
        values = [round(getattr(one, name) / unit, 1) for one in tenths]
        figures[name] = {"tenths": values, "most": round(max(getattr(o, name) for o in settled) / unit, 1)}
    return {
        "frames_come": _read(looks[-1]) + round(looks[-1].total("edge_lpr_camera_dropped_total")),
        "frames_read": _read(looks[-1]),
        "events": round(looks[-1].total("edge_lpr_camera_events_total")),
        "seconds": round(time.monotonic() - began, 1),
        **figures,
    }


def _read(look: Look) -> int:
    return round(look.total("edge_lpr_camera_frames_total"))


def _drawn(fps: int, zoom: float, quiet: float) -> Iterator[Image]:
    """Draws the street with its vehicles, and then so many seconds without: one of them, over and over."""
    yield from (image for image, _ in film(STREET, _STREET, fps, zoom=zoom))
    empty = [image for image, _ in film((), 1.0, fps, zoom=zoom)] if quiet else []
    for number in range(round(quiet * fps)):
        yield empty[number % len(empty)]


def _came(before: Look, after: Look, camera: str) -> float:
    names = ("edge_lpr_camera_frames_total", "edge_lpr_camera_dropped_total")
    return sum(after.of(name, camera) - before.of(name, camera) for name in names)


def _grown(name: str, before: Look, after: Look) -> float:
    return after.total(name) - before.total(name)


def _latencies(result: dict[str, Any]) -> dict[str, str]:
    """Returns the latencies as texts; "-" where no event came."""
    return {name: "-" if s is None else f"{s:.2f}" for name, s in result["latency_seconds"].items()}


def _line(result: dict[str, Any]) -> str:
    latency = _latencies(result)
    return (
        f"{counted(result['cameras'], 'cameras'):>11}: {result['found']} of {result['vehicles']} vehicles "
        f"({result['recall']:.1%}), {result['wrong']} wrong, {result['again']} again; "
        f"{result['share_read']:.0%} of frames read, {result['cpu_cores']:.2f} cores, "
        f"p50 {latency['p50']} s, p99 {latency['p99']} s, {result['memory_mib']:.0f} MiB"
    )


def row(result: dict[str, Any]) -> str:
    """Writes a result as a row of docs/serve.md."""
    latency = " / ".join(_latencies(result).values())
    cells = (
        str(result["cameras"]),
        f"{result['found']} of {result['vehicles']} ({result['recall']:.1%})",
        str(result["wrong"]),
        f"{result['share_read']:.0%}",
        f"{result['cpu_cores']:.2f}",
        latency,
        f"{result['memory_mib']:.0f} + {result['decoders_mib']:.0f}",
    )
    return f"| {' | '.join(cells)} |"


@module_main("benchmarks.serve")
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark; see the module's text."""
    parser = Parser(
        prog="python -m edge_lpr.benchmarks.serve", description=(__doc__ or "").split("\n\n", maxsplit=1)[0]
    )
    parser.add_argument("--cameras", type=int, nargs="+", default=[1, 2, 4], help="how many, one run each")
    parser.add_argument("--turns", type=int, default=6, help="turns of the film that count (default 6)")
    parser.add_argument("--fps", type=int, default=12, help="frames per second of a camera (default 12)")
    parser.add_argument("--zoom", type=float, default=1.0, help="times 960×540 (default 1)")
    parser.add_argument(
        "--quiet", type=float, default=0.0, help="seconds of an empty street a turn (default 0)"
    )
    parser.add_argument("--threads", type=int, help="threads of ONNX Runtime")
    parser.add_argument("--soak", type=int, metavar="N", help="read N frames, and look at memory")
    parser.add_argument("--python", default="", help="the Python that has GStreamer's bindings")
    parser.add_argument("--note", default="", help="what else the machine was doing, for the results")
    parser.add_argument("--json", help="a JSON file for the results")
    args = parser.parse_args(argv)
    check_outputs([("--json", args.json)], [])
    python = gst_python(args.python)
    results: list[dict[str, Any]] = []
    with Interrupts(), tempfile.TemporaryDirectory() as folder:
        video = Path(folder) / "street.h264"
        frames = write_h264(video, _drawn(args.fps, args.zoom, args.quiet), args.fps)
        for count in args.cameras:
            names = [f"c{number}" for number in range(1, count + 1)]
            place = Path(folder) / f"{count}-{len(results)}"
            place.mkdir()
            with GstServer(dict.fromkeys(names, video), args.fps, python) as server:
                with serving(place, {name: f"{server.address}{name}" for name in names}, args.threads) as run:
                    if args.soak:
                        result: dict[str, Any] = {"cameras": count, **soak(run, args.soak)}
                    else:
                        result = measure(run, names, frames, args.turns)
                if not args.soak:
                    result |= recall(run.events(), result, args.turns)
            result["ended_seconds"] = round(run.ended, 2)
            results.append(result)
            say(str(result) if args.soak else _line(result))
            if args.json:
                asked = {"fps": args.fps, "zoom": args.zoom, "quiet": args.quiet, "turns": args.turns}
                asked |= {"threads": args.threads, "frames_a_turn": frames, "note": args.note}
                write_json(args.json, {"machine": machine("onnxruntime", "av"), **asked, "runs": results})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
