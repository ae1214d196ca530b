"""TensorRT's messages: passed on to `logging`, the last errors kept for the exceptions that they explain."""

from __future__ import annotations

import logging
import threading
from collections import deque

KEPT_LINES = 200

_log = logging.getLogger("edge_lpr.tensorrt")


class Log:
    """TensorRT's messages, the last ones kept so that a failed call can say why it failed."""

    def __init__(self) -> None:
        self._lines: deque[tuple[int, str]] = deque(maxlen=KEPT_LINES)
        self._count = 0
        self._lock = threading.Lock()

    def add(self, severity: str, message: str) -> None:
        """Keeps a message of severity INTERNAL_ERROR or ERROR, and passes every one on to `logging`.

        Errors go there as INFO too: what matters of them is raised, and nothing is said twice.
        """
        _log.log(logging.DEBUG if severity in ("VERBOSE", "INFO") else logging.INFO, "%s", message)
        if severity in ("INTERNAL_ERROR", "ERROR"):
            with self._lock:
                self._count += 1
                self._lines.append((self._count, " ".join(message.split())))

    def mark(self) -> int:
        """Returns the point up to which messages are known."""
        return self._count

    def since(self, mark: int) -> str:
        """Returns the errors after a mark as one line, the same one once; empty where there is none."""
        return "; ".join(self.lines(mark))

    def lines(self, mark: int) -> list[str]:
        """Returns the errors after a mark, the same one once."""
        with self._lock:
            return list(dict.fromkeys(line for number, line in self._lines if number > mark))
