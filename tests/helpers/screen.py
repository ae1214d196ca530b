"""A command on a terminal of its own, as somebody sits at it: what is typed comes to all of its processes."""

from __future__ import annotations

import os
import pty
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType

from helpers.waiting import LONG

__all__ = ["Screen"]


class Screen:
    """A process whose three streams are a terminal, which it has to itself.

    Args:
        command: What is run.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._terminal, its = pty.openpty()
        # A session of its own with this terminal: Ctrl-C is sent by the system, to all in the foreground.
        self._process = subprocess.Popen(
            ["setsid", "--ctty", *command], stdin=its, stdout=its, stderr=its, env=wide(), close_fds=True
        )
        os.close(its)
        self._shown = bytearray()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        with suppress(OSError):  # EIO: nobody has the terminal any more
            while data := os.read(self._terminal, 1 << 16):
                self._shown += data

    @property
    def text(self) -> str:
        """All that was written to it, control sequences among it."""
        return self._shown.decode("utf-8", "replace").replace("\r\n", "\n")

    @property
    def ended(self) -> bool:
        """Whether the process has ended."""
        return self._process.poll() is not None

    def type(self, keys: str) -> None:
        """Types something."""
        os.write(self._terminal, keys.encode())

    def wait(self) -> int:
        """Waits for the end; returns the exit code."""
        code = self._process.wait(LONG)
        self._reader.join(LONG)
        return code

    def __enter__(self) -> Screen:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.ended:
            self._process.kill()
            self._process.wait(LONG)
        self._reader.join(LONG)
        os.close(self._terminal)


def wide() -> dict[str, str]:
    """An environment whose terminal is wide enough for a whole line."""
    return {**os.environ, "COLUMNS": "200", "TERM": "xterm"}
