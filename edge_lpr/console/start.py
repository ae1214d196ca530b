"""The first moments of the command, before anything large is imported: signals and standard streams.

Imports next to nothing: what comes before `begin` is Python's to end, with a traceback.
"""

from __future__ import annotations

import os
import signal
import sys

TYPE_CHECKING = False  # as type checkers know it
if TYPE_CHECKING:
    from types import FrameType
    from typing import NoReturn

__all__ = ["INTERRUPTED", "begin"]

INTERRUPTED = 128 + signal.SIGINT


def begin() -> None:
    """Makes Ctrl-C end the process with one line from now on, and gives it the streams that it was not given.

    While modules are imported nothing is in hand that had to be completed, and a `KeyboardInterrupt` in the
    middle of a library's import may come out as any other error. Once the command is ready it sets handlers
    of its own (`Interrupts`).
    """
    _open_closed_streams()
    # As Python sets it: not where the process was started to ignore Ctrl-C (in the background, by nohup).
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)


def _open_closed_streams() -> None:
    """Opens what a daemon was started without (``>&-``): the next file would else be standard output."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # Opens as the lowest free number, which is this one; processes that are started get it too.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    for name, number, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        if getattr(sys, name) is None:
            stream = open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115 - for the whole run
            setattr(sys, name, stream)


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    os.write(2, b"edge-lpr: interrupted\n")
    os._exit(INTERRUPTED)
