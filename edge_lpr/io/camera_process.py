"""A process of its own for each live source: it can be ended at any moment, whatever hangs or breaks in it.

OpenCV and the libraries below it cannot be interrupted while they open an address that never answers, let one
address at a time open in a process, and may crash over a damaged stream.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from typing import Any

from edge_lpr.io.capture_options import CaptureOptions
from edge_lpr.io.frame_slots import SlotReader
from edge_lpr.io.guarded_open import nothing_opening
from edge_lpr.io.targets import Target
from edge_lpr.types import Image

__all__ = ["CameraProcess", "Told"]

_BOOT = """\
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from edge_lpr.io.camera_worker import main
main(sys.argv[2])
"""
_GRACE = 5.0  # seconds that a killed process gets to be gone, on a machine that has much else to do

Told = tuple[str, Any]
"""What has happened, and more about it; see `camera_worker`."""


class CameraProcess:
    """Opens and decodes one live source in a process of its own.

    Args:
        target: What to open; handed over where no list of processes shows it.
        options: How it is read.
        live: See `Decoder`.

    Raises:
        OSError: The machine has no process, file or memory for it now.
        RuntimeError: It has no thread.
    """

    def __init__(self, target: Target, options: CaptureOptions, live: bool | None) -> None:
        self._slots = SlotReader()
        self._told: queue.SimpleQueue[Told | None] = queue.SimpleQueue()
        self._killed_for = ""
        try:
            # Isolated, so that no file in the folder that one happens to be in is taken for a library; in a
            # session of its own, so that Ctrl-C reaches the process that knows what to do about it.
            with nothing_opening():
                self._process = subprocess.Popen(
                    [sys.executable, "-I", "-B", "-c", _BOOT, json.dumps(sys.path), self._slots.name],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    pass_fds=self._slots.inherited,
                    start_new_session=True,
                )
        except BaseException:
            self._slots.close()
            raise
        asked = {name: getattr(target, name) for name in ("kind", "label", "address", "loop")}
        self._send(json.dumps({"target": asked, "options": asdict(options), "live": live}))
        self._listener = threading.Thread(target=self._listen, name="edge-lpr camera", daemon=True)
        try:
            self._listener.start()
        except RuntimeError:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """The process's number."""
        return self._process.pid

    def receive(self, seconds: float) -> Told | None:
        """Waits for what happens next.

        Args:
            seconds: How long at most.

        Returns:
            It; "ended" where the process is gone; None where nothing has happened.
        """
        try:
            told = self._told.get(timeout=max(0.0, seconds))
        except queue.Empty:
            return None
        return told or ("ended", {"reason": self._why()})

    def view(self, frame: dict[str, Any]) -> Image:
        """Looks at a frame that was told of; see `SlotReader.view`."""
        return self._slots.view(frame["slot"], frame["slot_bytes"], frame["height"], frame["width"])

    def free(self, slot: int) -> None:
        """Gives a slot back."""
        self._send(str(slot))

    def kill(self, why: str = "") -> None:
        """Ends the process at once; `receive` tells of it.

        Args:
            why: What it then tells as the reason.
        """
        self._killed_for = self._killed_for or why
        with contextlib.suppress(OSError):
            self._process.kill()

    def close(self) -> None:
        """Ends the process and frees all that belongs to it; may be called twice."""
        self.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):  # inside a driver: it goes when that returns
            self._process.wait(_GRACE)
        if self._listener.ident is not None:
            self._listener.join(_GRACE)
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None and not self._listener.is_alive():
                with contextlib.suppress(OSError):
                    pipe.close()
        self._slots.close()

    def _send(self, line: str) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        with contextlib.suppress(OSError, ValueError):  # it is gone, or was closed: `receive` tells
            os.write(pipe.fileno(), f"{line}\n".encode())

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with contextlib.suppress(ValueError):  # a line that was torn as the process ended
            for line in self._process.stdout:
                self._told.put(next(iter(json.loads(line).items())))
        self._told.put(None)

    def _why(self) -> str:
        if self._killed_for:
            return self._killed_for
        until = time.monotonic() + _GRACE
        while (code := self._process.poll()) is None and time.monotonic() < until:
            time.sleep(0.01)
        if code is None:
            return "its decoder has stopped"
        name = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
        return f"its decoder ended: {name}"
