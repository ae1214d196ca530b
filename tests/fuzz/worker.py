"""The process that inputs are tried in: it has little memory, and tells what went wrong, or ends."""

from __future__ import annotations

import json
import os
import resource
import shutil
import sys
import traceback
from pathlib import Path
from typing import TextIO

from edge_lpr.errors import EdgeLprError
from fuzz.mutations import mutate
from fuzz.targets import TARGETS

MEGABYTES = 768
"""What an input may take beyond what is loaded, stacks of threads included."""


def main() -> None:
    """Tries what standard input names, a target and a number a line, and answers each on standard output.

    Its argument is a folder that is there, and that whoever started it removes.
    """
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123
        taken = int(file.read().split()[0]) * resource.getpagesize()
    limit = taken + (MEGABYTES << 20)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _answer(Path(sys.argv[1]), answers)


def _answer(folder: Path, answers: TextIO) -> None:
    seeds = {name: target.seeds() for name, target in TARGETS.items()}
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        name, number = line.split()
        target = TARGETS[name]
        place = folder / "files"
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        file = place / target.name
        file.write_bytes(mutate(seeds[name], int(number)))
        try:
            target.run(file)
        except EdgeLprError as e:
            told = str(e)
            outcome = "refused" if told and "\n" not in told and len(told) < 1500 else f"told as {told!r}"
        except BaseException:
            outcome = traceback.format_exc()
        else:
            outcome = "read"
        print(json.dumps(outcome), file=answers, flush=True)


if __name__ == "__main__":
    main()
