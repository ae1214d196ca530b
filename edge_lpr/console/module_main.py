"""What every command shares: one line for what goes wrong, and the exit codes."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable
from difflib import get_close_matches
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn, ParamSpec

from edge_lpr.addresses import resembles_address, shown_source
from edge_lpr.console.interrupts import Terminated
from edge_lpr.console.log_level import LEVELS
from edge_lpr.console.text import printable
from edge_lpr.errors import EdgeLprError, SettingError
from edge_lpr.io.walk import READ_ERRORS, unreadable
from edge_lpr.masking import masked

__all__ = ["Parser", "add_log_options", "exit_code_of", "interrupt_code", "module_main", "refuse_addresses"]

_TAKE_ADDRESSES = ("SOURCE", "ADDRESS", "PLACE")

Parameters = ParamSpec("Parameters")


class _Help(argparse.RawDescriptionHelpFormatter):
    """Keeps the lines of texts, and shows choices as a|b, as settings have them (`edge_lpr.settings`)."""

    def _metavar_formatter(self, action: argparse.Action, default_metavar: str) -> Any:  # noqa: ANN401
        if action.metavar is not None or action.choices is None:
            return super()._metavar_formatter(action, default_metavar)
        shown = "|".join(map(str, action.choices))
        return lambda size: (shown,) * size


class Parser(argparse.ArgumentParser):
    """An argument parser whose texts keep their lines; an error is one line that says where help is."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - those of argparse
        super().__init__(**{"formatter_class": _Help, **options})
        self._arguments: list[str] = []

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:  # noqa: ANN401 - as argparse
        """Parses, as `argparse.ArgumentParser` does."""
        self._arguments = sys.argv[1:] if args is None else list(args)
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Prints the line and leaves with exit code 2."""
        unknown = message.removeprefix("unrecognized arguments: ")
        if unknown != message:
            if close := self._meant(unknown.split(maxsplit=1)[0]):
                message = f"{message}; did you mean {close}?"
        elif message.startswith("the following arguments are required"):
            # What is missing may be all that argparse says, where an option is not known either.
            for word in self._arguments:
                if close := self._meant(word):
                    message = f"{message}; {word}: did you mean {close}?"
                    break
        self.exit(2, f"{self.prog}: {printable(masked(message))}; see: {self.prog} --help\n")

    def _meant(self, word: str) -> str:
        """Returns the option that an unknown one is close to; "" for one that is known, and for no option."""
        given = word.partition("=")[0]
        options = [option for option in self._option_string_actions if option.startswith("--")]
        if not word.startswith("-") or given in self._option_string_actions:
            return ""
        return next(iter(get_close_matches(given, options, 1, 0.7)), "")

    def _check_value(self, action: argparse.Action, value: Any) -> None:  # noqa: ANN401 - as argparse has it
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as e:
            close = get_close_matches(str(value), [str(choice) for choice in action.choices or ()], 1)
            if close:
                raise argparse.ArgumentError(action, f"{e.message}; did you mean {close[0]}?") from e
            raise


def add_log_options(add: Callable[..., Any]) -> None:
    """Adds the options that say how much is told on standard error.

    Args:
        add: `add_argument` of a parser or group.
    """
    add(
        "--log-level",
        choices=tuple(LEVELS),
        default="info",
        metavar="LEVEL",
        help="what is told on standard error: debug (tracebacks and libraries' logs too), info (default), "
        "warning (no progress and no notes), error (only what could not be done)",
    )
    add("--debug", dest="log_level", action="store_const", const="debug", help="short for --log-level debug")


def refuse_addresses(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    """Refuses an address where none is taken: a folder would else be made that has its password for a name.

    Args:
        parser: The command's parser; arguments whose metavar is SOURCE or ADDRESS take addresses.
        args: What it parsed.

    Raises:
        SettingError: An argument is an address.
    """
    for action in parser._actions:
        values = getattr(args, action.dest, None)
        for given in values if isinstance(values, list) else [values]:
            # What was made a path has lost a slash, which does not hide an address.
            value = str(given) if isinstance(given, str | Path) else ""
            if action.metavar not in _TAKE_ADDRESSES and resembles_address(value):
                name = action.option_strings[0] if action.option_strings else action.metavar or action.dest
                raise SettingError(
                    f"{name} {shown_source(value)}: an address, expected {action.metavar or 'a setting'}; a "
                    "source stands by itself, and a file of such a name is ./NAME"
                )


def module_main(name: str) -> Callable[[Callable[Parameters, int]], Callable[Parameters, int]]:
    """Makes a function the command of its module (`python -m …`).

    Args:
        name: What the line about an error begins with.

    Returns:
        A decorator. The function that it makes returns the exit code of an `EdgeLprError` in place of raising
        it, 2 where a file cannot be read, and 130 after Ctrl-C (143 after SIGTERM, 129 after SIGHUP), with
        one line on standard error.
    """

    def decorate(main: Callable[Parameters, int]) -> Callable[Parameters, int]:
        @wraps(main)
        def run(*args: Parameters.args, **kwargs: Parameters.kwargs) -> int:
            try:
                return main(*args, **kwargs)
            except EdgeLprError as e:
                print(f"{name}: {printable(str(e))}", file=sys.stderr)
                return e.exit_code
            except READ_ERRORS as e:
                print(f"{name}: {printable(unreadable(e.filename or 'a file', e))}", file=sys.stderr)
                return 2
            except KeyboardInterrupt as e:
                print(f"{name}: {printable(str(e) or 'interrupted')}", file=sys.stderr)
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
