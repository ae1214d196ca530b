"""A thread that watches over a run, and tells those who want to know."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from edge_lpr.console.module_main import exit_code_of
from edge_lpr.errors import OutputError
from edge_lpr.health.sd_notify import ServiceManager
from edge_lpr.health.status import Run, RunState
from edge_lpr.health.watchdog import Watchdog
from edge_lpr.io.atomic_io import json_text, write_bytes

__all__ = ["Monitor"]

_STATUS_SECONDS = 1.0


class Monitor:
    """Writes the status of a run each second, tells the service manager, and gives up what is stuck for good.

    A context manager: the run has ended when it is left.

    Args:
        run: What is known of the run.
        watchdog: What notices work that is stuck.
        report: Called with one line where the status cannot be written.
        give_up: Called with the name of who is stuck for good, in the monitor's thread; does not return.
        status: The status file; None for none.
        manager: The service manager; None for the one of this process's environment.

    Attributes:
        exit_code: How the run ends where no error ends it.
    """

    def __init__(
        self,
        run: Run,
        watchdog: Watchdog,
        report: Callable[[str], None],
        give_up: Callable[[str], None],
        status: str | Path | None = None,
        manager: ServiceManager | None = None,
    ) -> None:
        self._run = run
        self._watchdog = watchdog
        self._report = report
        self._give_up = give_up
        self._status = status
        self._manager = manager or ServiceManager()
        self.exit_code = 0
        self._began = time.monotonic()
        self._stop = threading.Event()
        self._failed = False
        self._is_ready = False
        self._thread = threading.Thread(target=self._watch, name="edge-lpr monitor", daemon=True)

    def __enter__(self) -> Monitor:
        self.write("running")
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._manager.notify("STOPPING=1")  # the last that it hears
        if error is not None:
            self.exit_code = exit_code_of(error)
        self.write("ended", self.exit_code)

    def ready(self) -> None:
        """Tells the service manager that the run has begun: nothing is wrong with its settings."""
        self._manager.notify("READY=1", f"STATUS={self._run.summary()}")
        self._is_ready = True

    def write(self, state: RunState, exit_code: int | None = None) -> None:
        """Writes the status file, whole, and not through to the disk: it is of no use after a power cut.

        Args:
            state: How the run is.
            exit_code: How it has ended.
        """
        if self._status is None:
            return
        status = self._run.status(state, time.time(), time.monotonic() - self._began, exit_code)
        try:
            write_bytes(self._status, json_text(status).encode(), durable=False)
            self._failed = False
        except OutputError as e:
            if not self._failed:
                self._report(str(e))
            self._failed = True

    def _watch(self) -> None:
        # As often as the most impatient of all wants it.
        alive = self._manager.watchdog
        pause = min(_STATUS_SECONDS, self._watchdog.pause, *([alive / 3] if alive else []))
        checked = written = time.monotonic()
        while not self._stop.wait(pause):
            now = time.monotonic()
            stuck = self._watchdog.check(now - checked)
            checked = now
            if stuck is not None:
                self._manager.notify("STOPPING=1", f"STATUS={stuck} do not answer")
                self.write("ended", 1)
                self._give_up(stuck)
            if alive is not None and self._is_ready and self._watchdog.is_well:
                self._manager.notify("WATCHDOG=1")
            if now - written >= _STATUS_SECONDS * 0.95:
                written = now
                self.write("running" if self._watchdog.is_well else "stuck")
                if self._is_ready:
                    self._manager.notify(f"STATUS={self._run.summary()}")
