"""`edge-lpr doctor`: what this machine has, and what to install for what is missing."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from itertools import groupby
from pathlib import Path

from edge_lpr.backends.base import THREADS
from edge_lpr.cli.doctor.check import Check
from edge_lpr.cli.doctor.leftovers import leftover_checks
from edge_lpr.cli.doctor.machine import gpu_checks, system_checks, video_checks
from edge_lpr.cli.doctor.models import model_checks
from edge_lpr.cli.doctor.packages import extra_checks, format_checks, package_checks
from edge_lpr.console.log_level import shows
from edge_lpr.console.output import say, say_json, show
from edge_lpr.console.streams import libraries_apart
from edge_lpr.console.tables import Cell, table
from edge_lpr.console.text import Style, pad
from edge_lpr.devices import add_device_option, check_device

DESCRIPTION = """\
Looks at this machine: Python and packages, video back ends, GPU, TensorRT, the model bundle and
its engines; and reads one image to see that it all works. Says what was measured of INT8 on
this CPU, and with --bench measures again. Looks for what runs that were killed
left half written: in the folder at hand, or in those given. Exit code 0 where plates can be
read, 1 where they cannot."""

EPILOG = """\
examples:
  edge-lpr doctor
  edge-lpr doctor --bundle my-bundle/
  edge-lpr doctor --bench --threads 2            how fast FP32 and INT8 are here
  edge-lpr doctor /var/lib/plates                with what killed runs left there
  edge-lpr doctor --json | jq '.checks[] | select(.state != "ok")'
"""

_MARKS: dict[str, tuple[str, Style]] = {
    "ok": ("ok", "green"),
    "missing": ("--", "yellow"),
    "left over": ("??", "yellow"),
    "broken": ("!!", "red"),
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.add_argument(
        "folders",
        nargs="*",
        metavar="DIR",
        type=Path,
        default=[Path()],
        help="where to look for what killed runs left (default: the folder at hand)",
    )
    parser.add_argument(
        "--bundle",
        metavar="DIR",
        help="model bundle, a folder or the name of one in the package (default: default)",
    )
    parser.add_argument("--verify-key", metavar="KEY", help="public key that models are to be signed by")
    add_device_option(parser.add_argument)
    parser.add_argument(
        "--bench",
        action="store_true",
        help="measure again how fast FP32 and INT8 are on this CPU, with --threads; auto goes by it",
    )
    parser.add_argument(THREADS.flag, dest=THREADS.name, default=None, **dict(THREADS.arguments or {}))
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    check_device(args.device)
    with libraries_apart(shown=shows("debug")):
        checks = [
            *system_checks(),
            *package_checks(),
            *format_checks(),
            *video_checks(),
            *gpu_checks(args.device or 0),
            *model_checks(args.bundle, args.verify_key, args.device, args.bench, args.threads),
            *extra_checks(),
            *leftover_checks(args.folders),
        ]
    able = not any(check.state == "broken" for check in checks)
    if args.json:
        answer = {"version": 1, "able": able, "checks": [asdict(check) for check in checks]}
        say_json(answer)
    else:
        _print(checks, able)
    return 0 if able else 1


def _print(checks: list[Check], able: bool) -> None:
    width = max(len(check.name) for check in checks)
    for group, members in groupby(checks, lambda check: check.group):
        say((group, "bold"))
        rows: list[list[Cell]] = []
        for check in members:
            # All groups have their columns in the same places.
            rows.append(["", _MARKS[check.state], pad(check.name, width), check.found])
            if check.advice:
                rows.append(["", "", "", (f"→ {check.advice}", "yellow")])
        show(table(rows, left=range(4), head=False, wrap=True))
    end = (
        "plates can be read on this machine"
        if able
        else "plates cannot be read on this machine: see !! above"
    )
    say((end, "green" if able else "red"))
