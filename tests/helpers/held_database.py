"""Another process that holds a database: a backup, or somebody's tool."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from helpers.waiting import LONG

__all__ = ["held"]

_HOLDS = (
    "import sqlite3, sys; base = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None); "
    "base.execute('BEGIN IMMEDIATE'); print('held', flush=True); sys.stdin.read()"
)


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Holds a database file while entered: nobody else can write it."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLDS, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        assert process.stdout.readline() == b"held\n"
        yield
    finally:
        process.stdin.close()
        process.wait(LONG)
        process.stdout.close()
