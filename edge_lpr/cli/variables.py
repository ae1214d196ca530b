"""Defaults of options out of the environment: `--min-score` is `EDGE_LPR_MIN_SCORE`."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches

from edge_lpr.errors import SettingError, shown
from edge_lpr.masking import remember_argument

__all__ = ["PREFIX", "RULE", "mistyped", "take_variables", "variable_of"]

PREFIX = "EDGE_LPR_"
RULE = """\
environment:
  Every option has a variable that is its default: EDGE_LPR_MIN_SCORE=0.6 is --min-score 0.6, of a
  flag 1 or 0, of several values as the shell would split them. What is on the command line wins."""
# The folder of engines is looked up where engines are, for Python too.
_TAKEN_ELSEWHERE = frozenset({"EDGE_LPR_ENGINES"})
_FLAG = {"1": True, "0": False}
_NEARLY = 0.9
# Of options of different commands that are as alike.
_NO_SLIPS = frozenset({"DECODE", "DECODER"})


def variable_of(action: argparse.Action) -> str | None:
    """Returns the variable of an option; None of what has none: positional arguments, --help, --version."""
    if isinstance(action, argparse._HelpAction | argparse._VersionAction):
        return None
    for option in action.option_strings:
        if option.startswith("--"):
            return PREFIX + option[2:].upper().replace("-", "_")
    return None


def take_variables(parser: argparse.ArgumentParser, environment: Mapping[str, str]) -> None:
    """Makes what the environment says the defaults of a command's options.

    Args:
        parser: The command's parser.
        environment: The variables; one that is empty counts as not set.

    Raises:
        SettingError: A value does not fit its option; names the variable.
    """
    for one in _parsers(parser):
        given = set()
        for action in one._actions:
            name = variable_of(action)
            if name is None or name in _TAKEN_ELSEWHERE or not environment.get(name):
                continue
            remember_argument(environment[name])
            # Of all options that set it, as --debug and --log-level do.
            one.set_defaults(**{action.dest: _value(one, action, name, environment[name])})
            action.required = False
            given.add(action)
        for group in one._mutually_exclusive_groups:
            group.required = group.required and not given.intersection(group._group_actions)


def mistyped(parser: argparse.ArgumentParser, names: Iterable[str]) -> list[str]:
    """Looks for variables that are nearly those of a command's options; others are of other commands.

    Args:
        parser: The command's parser.
        names: The names of all variables.

    Returns:
        A line for each.
    """
    of_options = {variable_of(action) for one in _parsers(parser) for action in one._actions}
    known = {name.removeprefix(PREFIX) for name in of_options if name is not None}
    lines = []
    for name in sorted(names):
        word = name.removeprefix(PREFIX)
        if word == name or word in known or word in _NO_SLIPS:
            continue
        if close := get_close_matches(word, known, 1, _NEARLY):
            lines.append(f"{name} is the variable of no option; did you mean {PREFIX}{close[0]}?")
    return lines


def _parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for one in dict.fromkeys(action.choices.values()):
                yield from _parsers(one)


def _value(parser: argparse.ArgumentParser, action: argparse.Action, name: str, text: str) -> object:
    if action.nargs == 0:
        if text not in _FLAG:
            raise SettingError(f"{name} is {shown(text)}, expected 1 or 0; see: {parser.prog} --help")
        if isinstance(action, argparse.BooleanOptionalAction):
            return _FLAG[text]
        return action.const if _FLAG[text] else action.default
    try:
        several = isinstance(action.nargs, int) or action.nargs in ("*", "+")
        appended = isinstance(action, argparse._AppendAction)
        words = shlex.split(text) if several or appended else [text]
        if appended:
            return [parser._get_values(action, [word]) for word in words]
        return parser._get_values(action, words)
    except argparse.ArgumentError as e:
        raise SettingError(f"{name}: {e.message}; see: {parser.prog} --help") from e
    except ValueError as e:
        raise SettingError(f"{name} is {shown(text)}: {e}, as the shell would say") from e
