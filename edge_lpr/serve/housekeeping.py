"""What is due by the clock: ends of passages, and what is older than is to be kept."""

from __future__ import annotations

import logging
import threading

from edge_lpr.counting import counted
from edge_lpr.errors import one_line
from edge_lpr.serve.passages import Passages
from edge_lpr.serve.retention import Retention
from edge_lpr.serve.settings import RetentionSettings

__all__ = ["Housekeeping"]

_TICK = 1.0  # seconds
_CLEANING = 300  # ticks from one cleaning to the next; the first is soon

_logger = logging.getLogger("edge_lpr")


class Housekeeping:
    """A thread that does what is due.

    Args:
        passages: The passages.
        retention: Deletes what is due.
    """

    def __init__(self, passages: Passages, retention: Retention) -> None:
        self._passages = passages
        self._retention = retention
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="edge-lpr housekeeping", daemon=True)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def reload(self, settings: RetentionSettings) -> None:
        """Heeds other settings from now on."""
        self._retention.settings = settings

    def stop(self, seconds: float) -> bool:
        """Ends it; returns whether it has ended within so many seconds."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        ticks = 0
        while not self._stop.wait(_TICK):
            try:
                self._passages.tick()
                if ticks % _CLEANING == 1:
                    events, pictures = self._retention.clean()
                    if events or pictures:
                        gone = f"{counted(events, 'events')}, {counted(pictures, 'pictures')}"
                        _logger.info("deleted as they are due: %s", gone)
            except Exception as e:  # a disk that fails may come back; whatever it is, passages end
                _logger.warning("housekeeping: %s", one_line(e, named=True))
            ticks += 1
