"""Processes and what they started."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.waiting import wait_until

from edge_lpr.benchmarks.process_tree import cpu_seconds, family

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads Linux's /proc")


def test_a_family_is_whole_and_what_it_computes_is_counted() -> None:
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'while True: pass'])"
    with subprocess.Popen([sys.executable, "-c", code], start_new_session=True) as process:
        try:
            wait_until(lambda: len(family(process.pid)) == 2)
            own, child = family(process.pid)
            assert own == process.pid and {own, child} < set(family(os.getpid()))
            wait_until(lambda: cpu_seconds(child) > 0.05)
        finally:
            os.killpg(process.pid, 9)
    assert family(process.pid) == [process.pid] and cpu_seconds(process.pid) == 0
