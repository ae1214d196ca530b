"""`edge-lpr help [COMMAND]`: what --help shows."""

from __future__ import annotations

import argparse

from edge_lpr.cli import COMMANDS, command_parser

DESCRIPTION = "Shows how to read plates with edge-lpr, or how a command is used; as --help does."

EPILOG = """\
examples:
  edge-lpr help
  edge-lpr help calibrate
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.add_argument(
        "command",
        nargs="?",
        choices=tuple(COMMANDS),
        metavar="COMMAND",
        help="(default: reading)",
    )


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    command_parser(args.command or "read").print_help()
    return 0
