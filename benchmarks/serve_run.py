"""One run of `edge-lpr serve`: started as users start it, watched from outside, and ended."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_lpr.benchmarks.process_tree import cpu_seconds, family
from edge_lpr.environment import memory
from edge_lpr.errors import BackendError

__all__ = ["Look", "Run", "quantile", "serving"]

_START = 120.0  # seconds that a start may take
_LINE = re.compile(r"^(edge_lpr_\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


@dataclass(frozen=True)
class Look:
    """The service at one moment.

    Attributes:
        time: Seconds of a clock that is never set.
        wall: Seconds of the epoch.
        cpu: The CPU's seconds of all its processes.
        memory: Resident memory of the process that reads, in bytes.
        decoders: That of the processes that decode.
        threads: Threads of the process that reads.
        descriptors: Its open files.
        figures: /metrics: each figure's value by its labels.
    """

    time: float
    wall: float
    cpu: float
    memory: int
    decoders: int
    threads: int
    descriptors: int
    figures: Mapping[str, Mapping[str, float]] = field(repr=False)

    def total(self, name: str) -> float:
        """The sum of a figure over all labels."""
        return sum(self.figures.get(name, {}).values())

    def of(self, name: str, camera: str) -> float:
        """A figure of one camera."""
        return self.figures.get(name, {}).get(f'camera="{camera}"', 0.0)


@dataclass
class Run:
    """A service that runs.

    Attributes:
        pid: Its process.
        port: Where its page is.
        folder: Where its configuration is, and `events/` with its output.
        ended: Seconds that its end took; 0 before.
    """

    pid: int
    port: int
    folder: Path
    ended: float = 0.0

    def look(self) -> Look:
        """Looks at it."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=60) as answer:
            text = answer.read().decode()
        figures: dict[str, dict[str, float]] = {}
        for name, labels, value in _LINE.findall(text):
            figures.setdefault(name, {})[labels] = float(value)
        pids = family(self.pid)
        return Look(
            time=time.monotonic(),
            wall=time.time(),
            cpu=sum(map(cpu_seconds, pids)),
            memory=memory(self.pid) or 0,
            decoders=sum(memory(pid) or 0 for pid in pids if pid != self.pid),
            threads=len(list(Path(f"/proc/{self.pid}/task").iterdir())),
            descriptors=len(list(Path(f"/proc/{self.pid}/fd").iterdir())),
            figures=figures,
        )

    def events(self) -> list[dict[str, Any]]:
        """All that its output of files was told."""
        paths = sorted((self.folder / "events").glob("*.jsonl"))
        return [json.loads(line) for path in paths for line in path.read_text(encoding="utf-8").splitlines()]


@contextmanager
def serving(folder: Path, cameras: Mapping[str, str], threads: int | None = None) -> Iterator[Run]:
    """Runs the service with cameras, a page and an output of files.

    Args:
        folder: Where its files go.
        cameras: Their addresses by name.
        threads: Of the models; one per core where None.

    Raises:
        BackendError: It does not start.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    lines = [f'[web]\nlisten = "127.0.0.1:{port}"\n[outputs.events]\ntype = "files"\nfolder = "events"\n']
    if threads is not None:
        lines.append(f"[reader]\nthreads = {threads}\n")
    # A vehicle of the film comes again with its next turn.
    lines += [f'[cameras.{n}]\nsource = "{a}"\nsame_plate_within = 1\n' for n, a in cameras.items()]
    config = folder / "cameras.toml"
    config.write_text("".join(lines), encoding="utf-8")
    log = folder / "serve.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "edge_lpr", "serve", str(config)], stdout=out, stderr=out
        )
    run = Run(process.pid, port, folder)
    try:
        _wait_until_ready(process, port, log)
        yield run
    finally:
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        run.ended = time.monotonic() - began


def quantile(share: float, before: Look, after: Look) -> float | None:
    """Estimates below which latency so many events lie, as Prometheus' histogram_quantile does.

    Args:
        share: 0 to 1.
        before: The beginning of what is looked at.
        after: Its end.

    Returns:
        Seconds; within a bucket events count as evenly spread. None where there were no events.
    """
    name = "edge_lpr_event_latency_seconds_bucket"
    counts: dict[float, float] = {}
    for look, sign in ((before, -1), (after, 1)):
        for labels, value in look.figures.get(name, {}).items():
            found = re.search(r'le="([^"]+)"', labels)
            if found:
                limit = float(found[1].replace("+Inf", "inf"))
                counts[limit] = counts.get(limit, 0.0) + sign * value
    limits = sorted(counts)
    total = counts[limits[-1]] if limits else 0.0
    if not total:
        return None
    low = below = 0.0
    for limit in limits:
        if counts[limit] >= share * total:
            if limit == float("inf"):
                return low
            return low + (limit - low) * (share * total - below) / max(counts[limit] - below, 1e-9)
        low, below = limit, counts[limit]
    return low


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + _START
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
                return
        except OSError:
            if process.poll() is not None or time.monotonic() > until:
                said = log.read_text(encoding="utf-8", errors="replace")[-2000:]
                raise BackendError(f"edge-lpr serve does not get ready: {said}") from None
            time.sleep(0.1)
