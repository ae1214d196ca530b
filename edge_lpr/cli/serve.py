"""`edge-lpr serve`: cameras read day and night, with a page, and outputs to others."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
import threading

from edge_lpr.console.log_level import LEVELS, shows
from edge_lpr.console.output import say, show
from edge_lpr.console.streams import libraries_apart
from edge_lpr.errors import ConfigError, SettingError

DESCRIPTION = """\
Reads cameras day and night: each passage of a vehicle is kept with its pictures, shown on a page at
http://127.0.0.1:8470, and sent on: to MQTT, webhooks, programs and files. A file in TOML says which
cameras, lists and outputs there are; every key of it: edge-lpr serve --settings"""

EPILOG = """\
examples:
  edge-lpr serve --example > cameras.toml   a file to begin with, its sample video as two cameras
  edge-lpr serve --check cameras.toml       only checks it, and shows what it says
  edge-lpr serve cameras.toml               runs until Ctrl-C
  edge-lpr serve --hash                     asks for a password and prints its hash, for the file

signals:
  SIGHUP            reads the file again; passages that go on are not lost, and a file with a mistake
                    in it is not taken
  SIGTERM, Ctrl-C   ends within five seconds, with exit code 0: all passages are ended and kept, and
                    what was not delivered is delivered after the next start; a second one ends at once

A camera that hangs, sends garbage or is gone stops no other one, and is tried again for ever.
The page is for this machine alone; elsewhere it asks for a password or token, or does not start.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments."""
    parser.description, parser.epilog = DESCRIPTION, EPILOG
    parser.add_argument("config", nargs="?", metavar="FILE", help="the configuration, in TOML")
    one = parser.add_mutually_exclusive_group()
    one.add_argument("--check", action="store_true", help="only check FILE, and show what it says")
    one.add_argument("--settings", action="store_true", help="print all keys of a configuration, as Markdown")
    one.add_argument("--example", action="store_true", help="print a configuration to begin with")
    one.add_argument(
        "--hash",
        action="store_true",
        help="ask for a password or token, or read a line of standard input, and print its hash",
    )


def run(args: argparse.Namespace) -> int:
    """Runs the command."""
    alone = next((n for n in ("settings", "example", "hash") if getattr(args, n)), "")
    if alone and args.config is not None:
        raise SettingError(f"--{alone} takes no FILE")
    if args.settings:
        from edge_lpr.serve.settings_page import settings_page

        show(settings_page().rstrip("\n"))
        return 0
    if args.example:
        from edge_lpr.serve.example import example, find_sample

        show(example().rstrip("\n"))
        if not find_sample():
            say(
                "no sample video here: put the addresses of your cameras in for camera.example",
                stream=sys.stderr,
            )
        return 0
    if args.hash:
        return _hash()
    if args.config is None:
        raise SettingError("which configuration? edge-lpr serve --example > cameras.toml makes one")
    return _serve(args)


def _serve(args: argparse.Namespace) -> int:
    from edge_lpr.serve.config import load_config

    try:
        config = load_config(args.config)
    except ConfigError as e:
        for line in e.lines:
            say(line, stream=sys.stderr)
        return e.exit_code
    if args.check:
        from edge_lpr.serve.checking import summary

        show(summary(config))
        return 0
    from edge_lpr.serve.ending import LastResort
    from edge_lpr.serve.logs import service_log
    from edge_lpr.serve.service import Service
    from edge_lpr.serve.signals import Signals

    level = LEVELS[args.log_level]
    before = set(threading.enumerate())
    with (
        libraries_apart(shown=shows("debug")),
        service_log(config.settings.service.log, level),
        Signals() as signals,
        LastResort(signals),
        Service(config, signals) as service,
    ):
        code = service.run()
    if set(threading.enumerate()) - before:
        # Python would wait for some of them, and have others abort the process in the middle of C++.
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)
    return code


def _hash() -> int:
    from edge_lpr.serve.web.auth import LONGEST, ScryptHash

    if sys.stdin.isatty():
        secret = getpass.getpass("password or token: ")
        if getpass.getpass("again: ") != secret:
            raise SettingError("the two are not the same")
    else:
        # Browsers send UTF-8, whatever the terminal's own encoding is.
        line = sys.stdin.buffer.readline(LONGEST + 3).rstrip(b"\r\n")
        try:
            secret = line.decode()
        except UnicodeDecodeError as e:
            raise SettingError("a password or token that is no UTF-8; send it as UTF-8") from e
    say(str(ScryptHash.of(secret)))
    return 0
