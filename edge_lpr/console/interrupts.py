"""Ctrl-C, SIGTERM and SIGHUP that never tear a result apart."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

_HANGUP = getattr(signal, "SIGHUP", None)  # Windows has none
_SIGNALS = tuple(number for number in (signal.SIGINT, signal.SIGTERM, _HANGUP) if number is not None)


class Terminated(KeyboardInterrupt):
    """SIGTERM, which is how services are stopped, or SIGHUP, by which a terminal goes; handled like Ctrl-C.

    Args:
        number: The signal's number.
    """

    def __init__(self, number: int = signal.SIGTERM) -> None:
        super().__init__()
        self.number = int(number)


class Interrupts:
    """While entered, Ctrl-C, SIGTERM and SIGHUP raise `KeyboardInterrupt`, but not inside a `held` block.

    There they wait for its end, so that a line is written in full or not at all. Signals can be handled in
    the main thread alone; elsewhere this does nothing. SIGHUP stays ignored where it was (`nohup`).

    Attributes:
        signal: The number of the first signal that came; None where none has.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._held = 0
        self._patient = 0
        self._signals = 0
        self._pending: KeyboardInterrupt | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> Interrupts:
        try:
            for number in _SIGNALS:
                if number != _HANGUP or signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._handle)
        except ValueError:
            self._before.clear()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    @contextmanager
    def held(self, patient: bool = True) -> Iterator[None]:
        """Puts off what comes in to the end of the block, or to the next `check` in it.

        Args:
            patient: Whether every signal waits. Otherwise the first one does, and the next takes effect at
                once: for blocks so long that a user may not want to wait.
        """
        self._held += 1
        self._patient += patient
        try:
            yield
        finally:
            self._held -= 1
            self._patient -= patient
        if not self._held:
            self.check()

    def check(self) -> None:
        """Lets a signal that waits take effect; for places in a `held` block where it does no harm."""
        if self._pending is not None:
            pending, self._pending = self._pending, None
            raise pending

    def _handle(self, number: int, frame: FrameType | None) -> None:
        error = KeyboardInterrupt() if number == signal.SIGINT else Terminated(number)
        self._signals += 1
        self.signal = self.signal or number
        outer = getattr(self._before.get(number), "__self__", None)
        if isinstance(outer, Interrupts):
            outer.signal = outer.signal or number
        if not self._held or (not self._patient and self._signals > 1):
            raise error
        self._pending = error
