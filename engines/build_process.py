"""Builds an engine in processes of their own, one profile after the other.

A build takes minutes, in a library that cannot be interrupted and may crash. What is killed here loses the
profile at hand: the kernels of those before it are in the timing cache, where the next build finds them.
"""

from __future__ import annotations

import contextlib
import json
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge_lpr.backends.tensorrt.engine_folder import read_manifests
from edge_lpr.backends.tensorrt.engine_manifest import EngineManifest, Machine
from edge_lpr.engines.build import BuildJob
from edge_lpr.engines.build_worker import Order
from edge_lpr.engines.engine_cache import SUPERSEDED, Entry, prune
from edge_lpr.errors import BackendError, InputError

__all__ = ["build_in_processes", "drop_quick", "quick_job"]

QUICK_LEVEL = 0
"""TensorRT's optimization level that takes the first kernel that works: seconds in place of minutes."""
_BOOT = """\
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from edge_lpr.engines.build_worker import main
main()
"""
_POLL_SECONDS = 0.2

Tell = Callable[[str, str, int], None]
"""Called with the stage ("profile 1 of 4"), TensorRT's phase, and the steps that are done in it."""


def quick_job(job: BuildJob) -> BuildJob | None:
    """Returns the job of an engine that is built quickly and runs slower; None where this one is quick."""
    level = job.settings.optimization_level
    if level is not None and level <= QUICK_LEVEL:
        return None
    return replace(job, settings=replace(job.settings, optimization_level=QUICK_LEVEL))


def drop_quick(job: BuildJob, folder: Path, machine: Machine) -> None:
    """Removes the quick engine of a job whose own engine is there."""
    quick = quick_job(job)
    if quick is not None and (manifest := quick.existing(folder, machine)) is not None:
        prune([Entry(manifest.path, manifest, SUPERSEDED, "")], [SUPERSEDED])


def is_served(job: BuildJob, folder: Path, machine: Machine) -> bool:
    """Tells whether there is an engine of the job's model that runs here, however it was built."""
    manifests, _ = read_manifests(folder)
    same = (m for m in manifests if m.frame == job.edges.frame)
    return any(not m.differences(job.model, machine) and not m.damage() for m in same)


def build_in_processes(
    job: BuildJob,
    folder: Path,
    machine: Machine,
    *,
    device: int | None = None,
    tell: Tell = lambda stage, phase, steps: None,
    until: float | None = None,
) -> EngineManifest:
    """Builds one engine, each of its profiles in a process first, and then the whole.

    Args:
        job: What to build.
        folder: Where engines lie.
        machine: What it is built for; what TensorRT on that GPU says of itself.
        device: Number of the GPU; None is the first.
        tell: Called as it goes on.
        until: `time.monotonic()` at which it is given up; None is never.

    Returns:
        The manifest as written.

    Raises:
        EdgeLprError: As for `build_engine`; or the process ended, or the time was up.
    """
    began = time.monotonic()
    parts = [replace(job, profiles=(profile,)) for profile in job.profiles]
    for number, part in enumerate(parts, 1):
        if len(parts) > 1:
            stage = f"profile {number} of {len(parts)}"
            _run(Order(part, folder, device, keep=False, spent=0), stage, tell, until)
    _run(Order(job, folder, device, keep=True, spent=time.monotonic() - began), "engine", tell, until)
    manifest = job.existing(folder, machine)
    if manifest is None:
        raise BackendError(f"{job.path(folder, machine)}: built, and not found again; is somebody pruning?")
    return manifest


def _run(order: Order, stage: str, tell: Tell, until: float | None) -> None:
    command = [sys.executable, "-I", "-B", "-c", _BOOT, json.dumps(sys.path)]
    # In a session of its own: Ctrl-C comes to this process, which knows what to do about it.
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdin is not None and process.stdout is not None
    told: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
    listener = threading.Thread(target=_listen, args=(process.stdout, told), daemon=True)
    listener.start()
    try:
        with contextlib.suppress(BrokenPipeError):  # it ended before it read: told below
            process.stdin.write(pickle.dumps(order))
            process.stdin.flush()
        _follow(process, told, order.job.label, stage, tell, until)
    finally:
        with contextlib.suppress(OSError):
            process.kill()
        process.wait()
        listener.join()
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        process.stdout.close()


def _follow(
    process: subprocess.Popen[bytes],
    told: queue.SimpleQueue[dict[str, Any] | None],
    label: str,
    stage: str,
    tell: Tell,
    until: float | None,
) -> None:
    phase, steps = "", 0
    while True:
        tell(stage, phase, steps)
        if until is not None and time.monotonic() >= until:
            raise BackendError(f"{label}: the time was up at {stage}; build again to go on from there")
        try:
            line = told.get(timeout=_POLL_SECONDS)
        except queue.Empty:
            continue
        if line is None:
            raise BackendError(f"{label}: the process that builds it ended at {stage} ({_why(process)})")
        if "error" in line:
            kind = InputError if line["error"]["input"] else BackendError
            raise kind(line["error"]["said"])
        if "done" in line:
            return
        phase = line.get("phase", phase)
        steps += "step" in line


def _listen(pipe: Any, told: queue.SimpleQueue[dict[str, Any] | None]) -> None:  # noqa: ANN401
    with contextlib.suppress(ValueError):  # a line that was torn as the process ended
        for line in pipe:
            told.put(json.loads(line))
    told.put(None)


def _why(process: subprocess.Popen[bytes]) -> str:
    code = process.wait()
    if code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name
    return f"{name}: out of memory?" if name == "SIGKILL" else name
