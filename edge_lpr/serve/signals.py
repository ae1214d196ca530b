"""SIGTERM, SIGINT and SIGHUP, as a service takes them."""

from __future__ import annotations

import os
import signal
import time
from types import FrameType

__all__ = ["Signals"]

# `timeout` and some supervisors send a signal to the process and to its group: that is one request.
_APART = 0.5
_RELOAD = getattr(signal, "SIGHUP", None)  # Windows has none


class Signals:
    """While entered, SIGTERM and Ctrl-C ask for the end, a second one ends at once; SIGHUP asks to read anew.

    To be entered in the main thread. SIGHUP stays ignored where it was (`nohup`).

    Attributes:
        ends: The number of the signal that asks for the end; 0 before.
        asked_at: When it came, in seconds of `time.monotonic()`.
    """

    def __init__(self) -> None:
        self.ends = 0
        self.asked_at = 0.0
        self._reload = False
        self._before: dict[int, object] = {}

    def __enter__(self) -> Signals:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._before[number] = signal.signal(number, self._end)
        if _RELOAD is not None and signal.getsignal(_RELOAD) is not signal.SIG_IGN:
            self._before[_RELOAD] = signal.signal(_RELOAD, self._ask_reload)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def take_reload(self) -> bool:
        """Tells whether the configuration is to be read again; once for each time that it was asked."""
        asked, self._reload = self._reload, False
        return asked

    def _end(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if not self.ends:
            self.asked_at, self.ends = now, number  # who looks at the first finds the second
        elif now - self.asked_at > _APART:
            os._exit(128 + number)

    def _ask_reload(self, number: int, frame: FrameType | None) -> None:
        self._reload = True
