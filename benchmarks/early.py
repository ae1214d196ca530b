"""How rightly, and how soon, vehicles that come are first told of.

    python -m edge_lpr.benchmarks.early --json early.json

Cars with made-up plates come from 38 m away in drawn films, two a film, at 10 to 40 km/h, by day and at dusk,
at 12 to 25 frames a second; half of the films are 1920×1080, the rest 960×540. Each is read as by
`edge-lpr FILM --events all`, once for every pair of `--early-width` and `--max-delay`, and the text of each
`new` is compared with the plates that are shown. Its delay is the time from the first frame in which its
plate was read.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge_lpr.benchmarks.films import Film
from edge_lpr.console.module_main import Parser, module_main
from edge_lpr.console.output import show
from edge_lpr.console.progress import Progress
from edge_lpr.console.tables import table
from edge_lpr.environment import machine
from edge_lpr.errors import SettingError
from edge_lpr.finetune.synthesis.render.text import PlateMix, sample_plate
from edge_lpr.finetune.synthesis.street.film import Trajectory
from edge_lpr.io.atomic_io import write_json
from edge_lpr.io.claims import check_outputs
from edge_lpr.pipeline.reader import PlateReader
from edge_lpr.pipeline.reading import read_sources
from edge_lpr.pipeline.settings import TrackSettings
from edge_lpr.types import Rng

_AWAY = 38.0  # metres at which the first vehicle begins
_SECONDS = 10.0  # that a film lasts at most
_BLUE = PlateMix(kinds={"blue": 1.0}, hard=0.0)


def drawn_film(rng: Rng) -> Film:
    """Draws what one film shows: two cars that come, one on each side."""
    speed = float(rng.uniform(4, 11))
    cars = tuple(
        Trajectory(
            sample_plate(rng, _BLUE),
            "front",
            (int(paint), int(paint), int(paint)),
            side,
            _AWAY + float(rng.uniform(0, 15)) * behind,
            -speed * (1 - 0.3 * behind * float(rng.random())),
        )
        for behind, (side, paint) in enumerate(zip((-1.6, 1.6), rng.integers(40, 230, 2), strict=True))
    )
    dusk = rng.random() < 0.5
    return Film(
        "two cars that come",
        cars,
        min(_SECONDS, 60 / speed),
        float(rng.choice((12, 15, 25))),
        zoom=float(rng.choice((1, 2))),
        light=float(rng.choice((0.3, 0.5))) if dusk else 1.0,
        noise=float(rng.choice((3, 7))) if dusk else 1.2,
    )


@dataclass(frozen=True)
class Told:
    """What was told of one vehicle.

    Attributes:
        delay: Seconds from the first frame in which its plate was read to its `new`.
        first: The text of its `new`.
        end: The text of its `end`.
    """

    delay: float
    first: str
    end: str


def first_told(reader: PlateReader, path: Path) -> Iterator[Told]:
    """Reads a film; gives what was told of each vehicle once it has gone."""
    new: dict[str, tuple[float, str]] = {}
    now = 0.0
    for step in read_sources(reader, path, report="all"):
        if step.frame is not None and step.frame.time is not None:
            now = step.frame.time
        for event in step.events:
            if event.state == "new":
                new[event.id] = now - event.first_seen, event.text
            elif event.state == "end":
                yield Told(*new[event.id], event.text)


def summary(found: Sequence[Told], shown: Iterable[str]) -> dict[str, Any]:
    """Counts what was told, ready for JSON.

    Args:
        found: What was told of each vehicle.
        shown: The plates of the films.
    """
    plates = set(shown)
    delays = [told.delay for told in found] or [0.0]
    return {
        "vehicles": len(found),
        "wrong_at_first": sum(told.first not in plates for told in found),
        "wrong_at_the_end": sum(told.end not in plates for told in found),
        "median_delay": round(float(np.median(delays)), 2),
        "p90_delay": round(float(np.percentile(delays, 90)), 2),
    }


def measure(films: int, ways: Sequence[tuple[int, float]], threads: int) -> list[dict[str, Any]]:
    """Draws films and reads each in each way; returns what was told, ready for JSON.

    Args:
        films: How many.
        ways: Pairs of `early_width` and `max_delay`.
        threads: Of ONNX Runtime.
    """
    found: dict[tuple[int, float], list[Told]] = {way: [] for way in ways}
    shown: list[str] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        Progress("first told", films * (1 + len(ways)), "films drawn and read") as progress,
        ExitStack() as stack,
    ):
        readers = {
            (width, delay): stack.enter_context(
                PlateReader(threads=threads, settings={"early_width": width, "max_delay": delay})
            )
            for width, delay in ways
        }
        for number in range(films):
            path = Path(folder) / "film.mp4"
            film = drawn_film(np.random.default_rng(number))
            film.write(path)
            shown += [car.plate.text for car in film.vehicles]
            progress.update()
            for way, reader in readers.items():
                found[way] += first_told(reader, path)
                progress.update()
    return [{"early_width": w, "max_delay": d, **summary(found[w, d], shown)} for w, d in ways]


def row(result: dict[str, Any]) -> list[str]:
    """Returns a result as a table has it."""
    counts = (result[name] for name in ("vehicles", "wrong_at_first", "wrong_at_the_end"))
    seconds = (f"{result[name]:.2f} s" for name in ("median_delay", "p90_delay"))
    return [f"{result['early_width']} px", f"{result['max_delay']:g} s", *map(str, counts), *seconds]


@module_main("benchmarks.early")
def main(argv: Sequence[str] | None = None) -> int:
    """Runs the benchmark; see the module's text."""
    widths, delays = (0, TrackSettings.early_width), (TrackSettings.max_delay, 2 * TrackSettings.max_delay)
    parser = Parser(prog="python -m edge_lpr.benchmarks.early", description=__doc__)
    parser.add_argument("--films", type=int, default=30, metavar="N", help="how many films (default 30)")
    parser.add_argument(
        "--early-width",
        type=int,
        action="append",
        metavar="PX",
        help=f"more where given again (default {widths[0]} and {widths[1]})",
    )
    parser.add_argument(
        "--max-delay",
        type=float,
        action="append",
        metavar="S",
        help=f"more where given again (default {delays[0]:g} and {delays[1]:g})",
    )
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="of ONNX Runtime (default 1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures as JSON too")
    args = parser.parse_args(argv)
    check_outputs([("--json", args.json)], [])
    if args.films < 1:
        raise SettingError(f"--films {args.films}: leaves nothing to read; expected 1 or more")
    ways = list(product(args.early_width or widths, args.max_delay or delays))
    cv2.setNumThreads(args.threads)
    results = measure(args.films, ways, args.threads)
    show(
        table(
            [
                ["early width", "max delay", "vehicles", "wrong new", "wrong end", "delay", "90 %"],
                *map(row, results),
            ]
        )
    )
    if args.json:
        write_json(args.json, {"machine": machine("av"), "films": args.films, "results": results})
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
