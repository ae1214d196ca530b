"""What every command shares: one line for what goes wrong, and the exit codes."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any, NoReturn, ParamSpec

from edge_lpr.console.interrupts import Terminated
from edge_lpr.console.text import printable
from edge_lpr.errors import EdgeLprError

__all__ = ["Parser", "exit_code_of", "interrupt_code", "module_main"]

Parameters = ParamSpec("Parameters")


class Parser(argparse.ArgumentParser):
    """An argument parser whose texts keep their lines; an error is one line that says where help is."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - those of argparse
        super().__init__(**{"formatter_class": argparse.RawDescriptionHelpFormatter, **options})

    def error(self, message: str) -> NoReturn:
        """Prints the line and leaves with exit code 2."""
        self.exit(2, f"{self.prog}: {printable(message)}; see: {self.prog} --help\n")


def module_main(name: str) -> Callable[[Callable[Parameters, int]], Callable[Parameters, int]]:
    """Makes a function the command of its module (`python -m …`).

    Args:
        name: What the line about an error begins with.

    Returns:
        A decorator. The function that it makes returns the exit code of an `EdgeLprError` in place of raising
        it, and 130 after Ctrl-C (143 after SIGTERM, 129 after SIGHUP), with one line on standard error.
    """

    def decorate(main: Callable[Parameters, int]) -> Callable[Parameters, int]:
        @wraps(main)
        def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> int:
            try:
                return main(*args, **kwargs)
            except EdgeLprError as e:
                print(f"{name}: {printable(str(e))}", file=sys.stderr)
                return e.exit_code
            except KeyboardInterrupt as e:
                print(f"{name}: interrupted", file=sys.stderr)
                return interrupt_code(e)

        return run

    return decorate


def interrupt_code(error: KeyboardInterrupt) -> int:
    """Returns the exit code of a command that a signal ended: 130 Ctrl-C, 143 SIGTERM, 129 SIGHUP."""
    return 128 + (error.number if isinstance(error, Terminated) else signal.SIGINT)


def exit_code_of(error: BaseException) -> int:
    """Returns the exit code of a command that an error ends."""
    if isinstance(error, KeyboardInterrupt):
        return interrupt_code(error)
    return error.exit_code if isinstance(error, EdgeLprError) else 1
