"""Each part of the GPU benchmark in a process of its own, which ends when the time is up."""

from __future__ import annotations

import contextlib
import json
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edge_lpr.errors import BackendError, InputError
from edge_lpr.io.atomic_io import write_bytes

__all__ = ["load_shared", "run_part", "save_shared", "write_result"]

_BOOT = """\
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from pathlib import Path
from edge_lpr.benchmarks.gpu import run_one
run_one(json.loads(sys.argv[2]), sys.argv[3], Path(sys.argv[4]))
"""


def run_part(
    argv: Sequence[str], name: str, folder: Path, left: Callable[[], float], boot: str = _BOOT
) -> dict[str, Any]:
    """Runs one part of the benchmark.

    Args:
        argv: The benchmark's own arguments.
        name: Which part.
        folder: Where parts leave what those after them need.
        left: Seconds until it is ended.
        boot: What the process runs.

    Returns:
        The part's result.

    Raises:
        InputError: The part found its input wrong.
        BackendError: It failed, it crashed, or its time was up.
    """
    target = _target(folder, name)
    target.unlink(missing_ok=True)
    given = [json.dumps(sys.path), json.dumps(list(argv)), name, str(folder)]
    # Standard output is the report's.
    process = subprocess.Popen([sys.executable, "-c", boot, *given], stdin=subprocess.DEVNULL, stdout=2)
    limit = max(left(), 0.0)
    try:
        code = process.wait(limit)
    except subprocess.TimeoutExpired as e:
        raise BackendError(f"the time was up: ended after {limit:.0f} s") from e
    finally:
        with contextlib.suppress(OSError):
            process.kill()
        process.wait()
    if not target.exists():
        why = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        raise BackendError(f"its process ended without a result ({why})")
    raw = json.loads(target.read_bytes())
    if "error" in raw:
        raise (InputError if raw["input"] else BackendError)(raw["error"])
    result: dict[str, Any] = raw["result"]
    return result


def write_result(folder: Path, name: str, raw: dict[str, Any]) -> None:
    """Writes what `run_part` reads: "result", or "error" and whether it is one of the input."""
    write_bytes(_target(folder, name), json.dumps(raw).encode(), durable=False)


def save_shared(folder: Path, values: dict[str, Any]) -> None:
    """Keeps what later parts need."""
    (folder / "shared").write_bytes(pickle.dumps(values))


def load_shared(folder: Path) -> dict[str, Any]:
    """Returns what earlier parts kept."""
    path = folder / "shared"
    found: dict[str, Any] = {}
    if path.exists():
        found = pickle.loads(path.read_bytes())  # of this benchmark's own processes
    return found


def _target(folder: Path, name: str) -> Path:
    return folder / f"{name.replace(' ', '-')}.json"
