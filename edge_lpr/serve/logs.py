"""What the service writes to its log: lines for people, or JSON for collectors; no secrets, and no floods."""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from edge_lpr.console.output import say
from edge_lpr.console.text import printable
from edge_lpr.counting import counted
from edge_lpr.masking import masked
from edge_lpr.pipeline.wall_clock import iso, utc

__all__ = ["Flood", "service_log"]

_MOST, _SECONDS = 20, 10.0  # lines of one camera or part in so many seconds; what is more is counted
_LIBRARIES = ("uvicorn", "asyncio", "httpx", "paho", "starlette")


class Flood(logging.Filter):
    """Lets so many lines of one camera, output or part through in some seconds, and says how many it did not.

    Args:
        most: Lines.
        seconds: In which.
        clock: Seconds of a clock that is never set.
    """

    def __init__(
        self, most: int = _MOST, seconds: float = _SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._most = most
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._began: dict[str, float] = {}
        self._count: dict[str, int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tells whether a record is written."""
        key = _about(record)
        with self._lock:
            now = self._clock()
            if now - self._began.get(key, -self._seconds) >= self._seconds:
                left_out = self._count.get(key, 0) - self._most
                self._began[key], self._count[key] = now, 0
                if left_out > 0:
                    record.msg = f"{record.getMessage()} ({counted(left_out, 'lines')} before it left out)"
                    record.args = ()
            self._count[key] += 1
            return self._count[key] <= self._most


class _Lines(logging.Handler):
    def __init__(self, form: str) -> None:
        super().__init__()
        self._form = form

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
            if record.exc_info:
                text += "\n" + logging.Formatter().formatException(record.exc_info)
            moment = iso(utc(record.created))
            if self._form == "json":
                found = {
                    "time": moment,
                    "level": record.levelname.lower(),
                    "message": printable(masked(text)),
                }
                if camera := getattr(record, "camera", None):
                    found["camera"] = camera
                # Not `say_json`: a line is one object, and goes to standard error.
                say(json.dumps(found, ensure_ascii=False), stream=sys.stderr)
            else:
                for line in text.splitlines() or [""]:
                    say(f"{moment} {record.levelname.lower():<7} {masked(line)}", stream=sys.stderr)
        except OSError:  # whoever read the log is gone; the cameras are read on
            return


@contextmanager
def service_log(form: str, level: int) -> Iterator[None]:
    """While entered, the kit's log and its libraries' warnings go to standard error.

    Args:
        form: "text" or "json".
        level: The least that is written, of `logging`.
    """
    handler = _Lines(form)
    handler.addFilter(Flood())
    names = ("edge_lpr", *_LIBRARIES)
    before = [(logging.getLogger(name), logging.getLogger(name).level) for name in names]
    for logger, was in before:
        logger.addHandler(handler)
        logger.setLevel(level if logger.name == "edge_lpr" else max(was, logging.WARNING))
    kept = logging.getLogger("edge_lpr").propagate
    logging.getLogger("edge_lpr").propagate = False
    try:
        yield
    finally:
        logging.getLogger("edge_lpr").propagate = kept
        for logger, was in before:
            logger.removeHandler(handler)
            logger.setLevel(was)


def _about(record: logging.LogRecord) -> str:
    """Returns what a line is about: its camera, or what stands before the first colon."""
    camera = getattr(record, "camera", None)
    return str(camera) if camera else record.getMessage()[:60].partition(":")[0]
