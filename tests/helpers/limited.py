"""A function run in a process of its own that may take little memory and little time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from helpers.waiting import LONG

_PREAMBLE = """
import resource, sys
import cv2, numpy
{imports}
def virtual():
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * resource.getpagesize()
limit = virtual() + {megabytes} * 2**20
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
"""


def run_limited(
    code: str, *arguments: str | Path, megabytes: int, imports: str = "", seconds: float = LONG
) -> str:
    """Runs code under a limit of address space, so much above what the imports take.

    Args:
        code: What is run; its arguments are in `sys.argv[1:]`.
        arguments: The arguments.
        megabytes: How much more memory it may have.
        imports: Import statements that are run before.
        seconds: How long it may take.

    Returns:
        What it printed; the last line of what it raised, where it did.
    """
    script = _PREAMBLE.format(imports=imports, megabytes=megabytes) + code
    command = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    assert done.returncode >= 0, f"ended by signal {-done.returncode}"
    return done.stdout if done.returncode == 0 else done.stderr.strip().splitlines()[-1]
