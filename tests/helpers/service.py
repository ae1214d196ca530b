"""The service as it is run: in a process of its own, over small configurations."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any

from helpers.waiting import LONG, wait_until

__all__ = ["SAMPLE", "RunningService"]

# The command, which ends itself by force after five seconds; on a busy machine its own end may take longer.
_COMMAND = f"""\
import sys
from edge_lpr.__main__ import main
from edge_lpr.serve import ending
ending._LAST_RESORT = {LONG / 2}
sys.exit(main())
"""
SAMPLE = Path(__file__).parents[2] / "samples" / "street.mp4"


class RunningService:
    """`edge-lpr serve`, whose page listens at a port that is free.

    Args:
        folder: Where its configuration and data lie.
        text: The configuration, without [web].
        wait: Whether to wait until it is ready.
        environment: What is in its environment beside this process's.
    """

    def __init__(
        self, folder: Path, text: str, wait: bool = True, environment: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder
        self.config = folder / "cameras.toml"
        self.write(text)
        self.log = folder / "log.txt"
        with self.log.open("ab") as log:
            self._begins_at = log.seek(0, os.SEEK_END)
            self.process = subprocess.Popen(
                [sys.executable, "-c", _COMMAND, "serve", str(self.config)],
                stdout=log,
                stderr=log,
                cwd=folder,
                env={**os.environ, **(environment or {})},
            )
        if wait:
            try:
                wait_until(lambda: self.port or self.process.poll() is not None)
                assert self.process.poll() is None, self.told
            except BaseException:  # nobody else ends what was never entered
                self.process.kill()
                self.process.wait(LONG)
                raise

    def __enter__(self) -> RunningService:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(LONG)

    def write(self, text: str) -> None:
        """Writes the configuration."""
        self.config.write_text(f'{text}\n[web]\nlisten = "127.0.0.1:0"\n', encoding="utf-8")

    @property
    def told(self) -> str:
        """Its log."""
        return self.log.read_bytes()[self._begins_at :].decode()

    @property
    def port(self) -> int:
        """The page's; 0 before it is there."""
        found = re.findall(r"the page is at http://127\.0\.0\.1:(\d+)", self.told)
        return int(found[-1]) if found else 0

    def get(self, path: str) -> tuple[int, bytes]:
        """Asks the page for something; returns the status and what came."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LONG)
        connection.request("GET", path)
        answer = connection.getresponse()
        found = answer.status, answer.read()
        connection.close()
        return found

    def cameras(self) -> dict[str, Mapping[str, Any]]:
        """How each camera is, by its name."""
        _, text = self.get("/api/v1/cameras")
        return {one["name"]: one for one in json.loads(text)["cameras"]}

    def events(self) -> list[tuple[str, str, str, int]]:
        """Id, camera, state and revision of all events."""
        path = self.folder / "edge-lpr-data" / "events.db"
        if not path.exists() or not self.port:
            return []
        with closing(sqlite3.connect(path, timeout=LONG)) as database:
            return database.execute("SELECT id, camera, state, revision FROM events").fetchall()

    def end(self, number: int = signal.SIGTERM) -> int:
        """Ends it; returns its exit code."""
        self.process.send_signal(number)
        return self.process.wait(LONG)
