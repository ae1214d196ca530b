"""A reader in a process of its own, which reads one image at a time when it is asked to."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_lpr.benchmarks.peer_frames import PEERS
from edge_lpr.errors import BackendError, SettingError

__all__ = ["Peer", "add_peer_options", "check_peer_options"]

# Seconds that it may take to open its networks, or to read an image.
_LIMIT = 600.0


@dataclass
class Peer:
    """A reader at work; `with` it, or close it.

    Attributes:
        name: What it is called in results.
        reader: Which of `peer_frames.READERS` it is.
        python: The interpreter that has it.
        threads: ONNX Runtime's threads.
        path: A folder that it looks for modules in first: another version's. None for what is there.
        version: What it said of itself.
    """

    name: str
    reader: str
    python: str
    threads: int
    path: str | None = None
    version: str = field(default="", init=False)

    def __enter__(self) -> Peer:
        """Starts it.

        Raises:
            BackendError: It cannot be opened.
        """
        script = Path(__file__).with_name("peer_frames.py")
        words = [self.python, str(script), self.reader, "-", str(self.threads)]
        own = {} if self.path is None else {"PYTHONPATH": self.path}
        self._errors = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")
        try:
            self._process = subprocess.Popen(
                words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env=os.environ | own,
                encoding="utf-8",
            )
        except OSError as e:
            self._errors.close()
            raise BackendError(f"{self.name}: {self.python} cannot be started: {e.strerror}") from e
        try:
            self.version = str(self._answer()["version"])
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Ends it."""
        self.close()

    def close(self) -> None:
        """Ends it."""
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def read(self, image: Path) -> dict[str, Any]:
        """Reads an image.

        Returns:
            `cpu` and `seconds` that it took, decoding left out; and `reads`, pairs of a text and its
            corners, or an `error`.

        Raises:
            BackendError: It has ended, or does not answer.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{image}\n")
            self._process.stdin.flush()
        except OSError:
            pass  # what it said at its end is better than that it has ended
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        timer = threading.Timer(_LIMIT, self._process.kill)
        timer.start()
        try:
            line = self._process.stdout.readline()
        finally:
            timer.cancel()
        if not line:
            self._process.wait()
            self._errors.seek(0)
            last = (self._errors.read().strip().splitlines() or ["no message"])[-1]
            raise BackendError(f"{self.name} cannot read in {self.python}: {last}")
        found: dict[str, Any] = json.loads(line)
        return found


def add_peer_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options that name who reads beside this kit; see `check_peer_options`."""
    parser.add_argument("--peer", action="append", choices=tuple(PEERS), help="another reader beside it")
    parser.add_argument("--python", help="the interpreter that has the other readers")
    parser.add_argument("--before", help="a checkout of another version of this kit")


def check_peer_options(args: argparse.Namespace) -> None:
    """Refuses what `add_peer_options` takes where it cannot be used.

    Raises:
        SettingError: The interpreter is missing, or the checkout is none.
    """
    if args.peer and not args.python:
        raise SettingError("--peer needs --python, the interpreter that has it")
    if args.before is not None and not (Path(args.before) / "edge_lpr").is_dir():
        raise SettingError(f"--before {args.before}: holds no edge_lpr; expected a checkout of this kit")
