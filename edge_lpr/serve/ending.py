"""The end of the service: all its steps within one deadline, in an order in which nothing is lost.

What was read is told, and is on the disk; what is told is queued; what can be delivered at once is. Whatever
hangs meanwhile (a decoder, a receiver, the database, a reader of the page) is left as it is once its share of
the time is over.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from edge_lpr.serve.cameras import Take
from edge_lpr.serve.deadline import Deadline
from edge_lpr.serve.parts import Parts
from edge_lpr.serve.signals import Signals
from edge_lpr.serve.web.server import WebServer

__all__ = ["PROMISED", "LastResort", "Taking", "end"]

PROMISED = 5.0
"""Seconds from the signal to the end of the process."""
_STEPS = 4.0  # of them, for all that is done here; then what is open is closed
_LAST_RESORT = 4.7  # and then the process ends, whatever is still open
# What is left of `_STEPS` for what follows: once nothing is read any more, and once all is told.
_AFTER_READING, _AFTER_TELLING = 1.6, 1.0
_DELIVERING, _GOODBYE = 1.0, 0.5  # seconds for events, and then for what is said to their receivers

_logger = logging.getLogger("edge_lpr")


class Taking:
    """Whether what cameras show is still taken; a context manager around the taking of each thing."""

    def __init__(self) -> None:
        self.is_over = False
        self._lock = threading.Lock()

    def __enter__(self) -> Taking:
        self._lock.acquire()
        return self

    def __exit__(self, *error: object) -> None:
        self._lock.release()

    def end(self, seconds: float) -> bool:
        """Takes nothing that comes from now on; returns whether nothing is in the middle after so long."""
        self.is_over = True
        if not self._lock.acquire(timeout=seconds):
            return False
        self._lock.release()
        return True


def end(parts: Parts, page: WebServer | None, taking: Taking, tell: Take, since: float) -> bool:
    """Ends all parts.

    Args:
        parts: They.
        page: The page; None where there is none.
        taking: What stands between cameras and passages.
        tell: Tells passages of what cameras show.
        since: When the end was asked for, in seconds of `time.monotonic()`.

    Returns:
        Whether all have ended; else nothing that they work with may be closed.
    """
    _logger.info("ends: tells the end of all passages")
    deadline = Deadline(_STEPS, since)
    aside = [] if page is None else [_begin("page", lambda: page.stop(deadline.left()))]
    has_read = parts.cameras.stop(deadline.left(_AFTER_READING))
    if not has_read:
        _logger.warning("what is being read does not end; what was read before is told")
    aside.append(_begin("cameras", lambda: parts.cameras.close(deadline.left())))
    aside.append(_begin("housekeeping", lambda: parts.housekeeping.stop(deadline.left())))
    if taking.end(deadline.left(_AFTER_TELLING)):
        parts.cameras.flush(tell)
        parts.passages.close_all(deadline.left(_AFTER_TELLING))
    else:
        _logger.error("the disk does not answer: what goes on is told to its end at the next start")
    has_delivered = parts.deliveries.stop(min(_DELIVERING, deadline.left(_GOODBYE)), _GOODBYE)
    for thread in aside:
        thread.join(deadline.left())
    with suppress(sqlite3.Error):
        _tell_waiting(parts)
    return has_read and has_delivered and not any(thread.is_alive() for thread in aside)


def _begin(what: str, job: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=job, name=f"edge-lpr ends {what}", daemon=True)
    thread.start()
    return thread


def _tell_waiting(parts: Parts) -> None:
    if waiting := {name: n for name, n in parts.queues.depths().items() if n}:
        told = ", ".join(f"{n} for {name}" for name, n in waiting.items())
        _logger.info("events that wait for the next start: %s", told)


class LastResort:
    """Ends the process where it has not ended in time by itself: a disk or driver may never return.

    A context manager around all that the process does, its beginning too.

    Args:
        signals: What asks for the end.
    """

    def __init__(self, signals: Signals) -> None:
        self._signals = signals
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="edge-lpr last resort", daemon=True)

    def __enter__(self) -> LastResort:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.1):
            if self._signals.ends and time.monotonic() - self._signals.asked_at >= _LAST_RESORT:
                # In a thread: who reads the log may be what hangs.
                _begin("by force", self._say).join(0.1)
                os._exit(1)

    def _say(self) -> None:
        _logger.error("a part of the service does not end, so all of it is ended; what was told is kept")
        sys.stderr.flush()
