"""`edge-lpr completion SHELL`: what a shell needs to complete commands, options, choices and files."""

from __future__ import annotations

import argparse
from importlib import import_module

from edge_lpr.cli import COMMANDS, command_parser
from edge_lpr.console.module_main import Parser
from edge_lpr.console.output import show
from edge_lpr.errors import MissingExtraError

DESCRIPTION = """\
Prints a script by which a shell completes edge-lpr's commands, options, choices and files. It is
made once, and again after an update; pressing Tab then starts nothing. Options of commands whose
packages are not installed are left out."""

EPILOG = """\
examples:
  edge-lpr completion bash > ~/.local/share/bash-completion/completions/edge-lpr
  edge-lpr completion zsh > ~/.zfunc/_edge-lpr             with fpath+=~/.zfunc in ~/.zshrc, before compinit
  edge-lpr completion fish > ~/.config/fish/completions/edge-lpr.fish
"""

SHELLS = ("bash", "zsh", "fish")
# A source stands where a command does, and shtab offers commands alone there.
_SOURCES = {
    "bash": "_shtab_edge_lpr_pos_0_COMPGEN=_shtab_compgen_files",
    "zsh": "functions[_shtab_edge_lpr_commands]+=$'\\n_files'",
}
# Fish takes away all that is there before shtab's own.
_SOURCES_IN_FISH = (
    "complete -c edge-lpr -n _shtab_edge_lpr_using -a '(__fish_complete_path (commandline -ct))'"
)
_FILES = frozenset({"FILE", "PATH", "KEY", "DATA", "BUNDLE", "ENGINE", "SOURCE", "IMAGES", "TXT"})
_FOLDERS = frozenset({"DIR", "PLACE"})


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=f"one of {', '.join(SHELLS)}")


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    try:
        import shtab
    except ModuleNotFoundError as e:
        raise MissingExtraError("shtab", "completion", "`edge-lpr completion`") from e
    script = shtab.complete(whole_parser(), shell=args.shell, preamble=_SOURCES.get(args.shell, ""))
    show(script.rstrip("\n") + (f"\n{_SOURCES_IN_FISH}" if args.shell == "fish" else ""))
    return 0


def whole_parser() -> Parser:
    """Returns one parser of reading and all commands that knows where files stand; not to parse with."""
    whole = Parser(prog="edge-lpr", allow_abbrev=False)
    _add_options(whole, command_parser("read"))
    commands = whole.add_subparsers(dest="command")
    for name, command in COMMANDS.items():
        one = commands.add_parser(name, help=command.summary, allow_abbrev=False)
        try:
            _add_options(one, command_parser(name), positional=True)
        except ModuleNotFoundError:  # completed by its name alone
            continue
    return whole


def _add_options(
    to: argparse.ArgumentParser, parser: argparse.ArgumentParser, *, positional: bool = False
) -> None:
    for action in parser._actions:
        if isinstance(action, argparse._HelpAction) or not (positional or action.option_strings):
            continue
        metavar = action.metavar if isinstance(action.metavar, str) else ""
        # As choices, where the options' own --help has them in place of a name.
        if action.choices is None and "|" in metavar:
            action.choices = metavar.split("|")
        if metavar in _FILES | _FOLDERS:
            action.complete = _file(metavar)  # type: ignore[attr-defined]
        to._add_action(action)


def _file(metavar: str) -> object:
    shtab = import_module("shtab")
    return shtab.DIRECTORY if metavar in _FOLDERS else shtab.FILE
