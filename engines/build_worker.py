"""The process that builds one engine, or times the kernels of one profile; `build_process` starts it.

It reads one pickled `Order` from standard input. It writes JSON lines, each with one key: "phase" and "step"
as TensorRT tells of them, and at the end "done" or "error". Once its standard input ends, nobody needs it any
more.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from edge_lpr.backends.tensorrt.api import TensorRT
from edge_lpr.engines.build import BuildJob, Watch, build_engine, time_kernels
from edge_lpr.errors import EdgeLprError, InputError, one_line

__all__ = ["Order", "main"]


@dataclass(frozen=True)
class Order:
    """What a process is to do.

    Attributes:
        job: What to build.
        folder: Where engines and the timing cache lie.
        device: Number of the GPU.
        keep: Whether an engine is wanted; else the kernels are timed, for the timing cache alone.
        spent: Seconds that were spent on this engine before, for its manifest.
    """

    job: BuildJob
    folder: Path
    device: int | None
    keep: bool
    spent: float


def main() -> None:
    """Runs the process; does not return."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # the process that started this one decides when it is over
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    out = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)  # libraries print to standard output
    order = pickle.load(sys.stdin.buffer)  # of the process that started this one
    threading.Thread(target=_end_with_starter, daemon=True).start()

    def tell(what: str, value: object) -> bool:
        try:
            out.write(json.dumps({what: value}) + "\n")
        except OSError:  # whoever started this process is gone
            os._exit(1)
        return True

    def phase(name: str) -> None:
        tell("phase", name)

    try:
        _work(order, Watch(phase, lambda: tell("step", True)))
    except EdgeLprError as e:
        tell("error", {"input": isinstance(e, InputError), "said": str(e)})
    except Exception as e:  # whatever it is, the others shall be built
        tell("error", {"input": False, "said": f"{order.job.label}: {one_line(e, 300, named=True)}"})
    else:
        tell("done", True)
    out.flush()
    sys.stderr.flush()
    # Not by way of the interpreter's end, where TensorRT's and CUDA's libraries take each other down.
    os._exit(0)


def _work(order: Order, watch: Watch) -> None:
    api = TensorRT.open(order.device)
    if order.keep:
        build_engine(api, order.job, order.folder, watch, order.spent)
    else:
        time_kernels(api, order.job, order.folder, watch)


def _end_with_starter() -> None:
    sys.stdin.buffer.read()
    os._exit(1)
