"""Mutated inputs: each is read or refused in one line, within its memory and its time."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.extras import reason
from helpers.waiting import LONG

for package, extra in (("onnx", "test"), ("onnxruntime", "cpu")):
    pytest.importorskip(package, reason=reason(package, extra))

from fuzz.targets import TARGETS  # noqa: E402 - imports what was looked for before

TESTS = Path(__file__).resolve().parents[1]
SECONDS = 10.0
"""How long one input may take of the processor."""
AT_LEAST = 20
# After so many inputs the worker is replaced: what libraries keep is not what an input takes.
LIFETIME = 1000


def cpu_seconds(process: int) -> float:
    """What a process took of the processor so far."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Worker:
    """A process that inputs are tried in, started anew where one has ended it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None
        self._tried = 0

    def attempt(self, target: str, number: int) -> str:
        """Tries an input; returns "read", "refused", or what went wrong."""
        if self._tried >= LIFETIME:
            self.stop()
        process = self._process or self._start()
        assert process.stdin is not None
        self._tried += 1
        process.stdin.write(f"{target} {number}\n")
        process.stdin.flush()
        began, until = cpu_seconds(process.pid), time.monotonic() + LONG  # others work beside it
        line = None
        while line is None and time.monotonic() < until and cpu_seconds(process.pid) - began < SECONDS:
            line = self._line(process, 0.5)
        if line is None:
            self.stop()
            return f"not done within {SECONDS:g} s"
        if not line:
            code = process.wait()
            self.stop()
            return f"ended the process with {code}"
        outcome: str = json.loads(line)
        return outcome

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            assert self._process.stdin is not None and self._process.stdout is not None
            self._process.stdin.close()
            self._process.stdout.close()
        self._process, self._tried = None, 0

    def _start(self) -> subprocess.Popen[str]:
        paths = [str(TESTS), os.environ.get("PYTHONPATH", ""), *sys.path]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
        environment |= {"OMP_NUM_THREADS": "1", "OPENCV_LOG_LEVEL": "SILENT", "OPENCV_FFMPEG_LOGLEVEL": "-8"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "fuzz.worker", str(self._folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert self._line(self._process, LONG) == "ready\n"
        return self._process

    def _line(self, process: subprocess.Popen[str], seconds: float) -> str | None:
        """The next line; "" where the process has ended, None where none came in time."""
        assert process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            return process.stdout.readline() if selector.select(seconds) else None


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    made = Worker(tmp_path_factory.mktemp("fuzz"))
    yield made
    made.stop()


@pytest.mark.parametrize("target", TARGETS)
def test_mutated_inputs_are_read_or_refused(
    target: str, worker: Worker, pytestconfig: pytest.Config, tmp_path: Path
) -> None:
    seconds = pytestconfig.getoption("--fuzz-seconds") / len(TARGETS)
    seeds = len(TARGETS[target].seeds())
    outcomes: Counter[str] = Counter()
    faults: list[str] = []
    until = time.monotonic() + seconds
    number = 0
    while (time.monotonic() < until or number < seeds + AT_LEAST) and len(faults) < 5:
        outcome = worker.attempt(target, number)
        if outcome not in ("read", "refused"):
            faults.append(f"python -m fuzz {target} {number} FILE: {outcome[-2000:]}")
        outcomes[outcome[:20]] += 1
        number += 1
    print(f"{target}: {number} inputs, {dict(outcomes)}")
    assert not faults, "\n".join(faults)
    # A target that refuses everything, its seeds too, would test nothing.
    assert outcomes["refused"] and (outcomes["read"] or target == "checkpoint")
