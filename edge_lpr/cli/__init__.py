"""The `edge-lpr` command: reads plates, or runs one of the commands by name.

A command is a module with `configure(parser)` and `run(args)`, of this package or of a stage; it is named
here and imported only when it is run, so that reading plates on a Jetson never touches what the host stages
need.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path

from edge_lpr.cli.variables import RULE, mistyped, take_variables
from edge_lpr.console.interrupts import Interrupts
from edge_lpr.console.log_level import at_level, shows
from edge_lpr.console.module_main import Parser, add_log_options, interrupt_code, refuse_addresses
from edge_lpr.console.output import say
from edge_lpr.console.process_title import mask_process_title
from edge_lpr.console.streams import masked_stderr
from edge_lpr.environment import tool
from edge_lpr.errors import EdgeLprError, InputError, MissingExtraError, SettingError, one_line
from edge_lpr.io.walk import READ_ERRORS, unreadable
from edge_lpr.masking import masked, remember_argument


@dataclass(frozen=True)
class Command:
    """One command.

    Attributes:
        module: The module with `configure(parser)` and `run(args)`, imported only when the command is run.
        extra: The extra that its packages come with.
        summary: What it does, in a line.
    """

    module: str
    extra: str
    summary: str


READ = Command("edge_lpr.cli.read.command", "cpu", "read plates from images, videos and cameras")
COMMANDS: dict[str, Command] = {
    "doctor": Command(
        "edge_lpr.cli.doctor.command",
        "cpu",
        "show what this machine has, and what to install for what is missing",
    ),
    "archive": Command(
        "edge_lpr.cli.archive", "scale", "read archives on all cores or a Ray cluster, into Parquet"
    ),
    "serve": Command(
        "edge_lpr.cli.serve", "serve", "read cameras day and night: a page, lists, MQTT, webhooks"
    ),
    "sign": Command("edge_lpr.cli.sign", "sign", "sign bundles and engines, or check their signatures"),
    "export": Command(
        "edge_lpr.export.command", "export", "turn fine-tuned PaddleOCR models into a bundle of ONNX models"
    ),
    "dataset": Command("edge_lpr.cli.dataset", "cpu", "turn a CCPD download into PP-OCR's training format"),
    "finetune": Command(
        "edge_lpr.finetune.command", "finetune", "fine-tune the detector or recognizer on plates"
    ),
    "evaluate": Command(
        "edge_lpr.cli.evaluate", "evaluate", "measure a bundle's accuracy and speed on labelled images"
    ),
    "calibrate": Command(
        "edge_lpr.calib.commands.calibrate", "calib", "add FP16 and INT8 models to a bundle"
    ),
    "compare": Command(
        "edge_lpr.calib.commands.compare",
        "calib",
        "compare a bundle's precisions on labelled images, with a report",
    ),
    "build": Command(
        "edge_lpr.engines.commands.build", "tensorrt", "build TensorRT engines of a bundle for this GPU"
    ),
    "engines": Command(
        "edge_lpr.engines.commands.engines", "tensorrt", "list, inspect and prune the TensorRT engines"
    ),
    "completion": Command(
        "edge_lpr.cli.completion", "completion", "print what bash, zsh or fish need to complete with Tab"
    ),
    "help": Command("edge_lpr.cli.help", "cpu", "show how a command is used"),
}
USAGE = """\
edge-lpr SOURCE [SOURCE ...] [options]   reads plates, as in: edge-lpr street.mp4
edge-lpr COMMAND [options]               {commands}
edge-lpr --help                          shows everything"""
EXIT_CODES = """\
exit codes:
  0    everything was read or done
  1    the work failed: a backend, a result that cannot be written
  2    bad input: a setting, or a source or image that is missing, damaged or lost; all the rest
       was read or used, and the work is done
  130  ended by Ctrl-C, results complete (143: by SIGTERM, 129: by SIGHUP)"""
_PIPE_CLOSED = 141  # what a shell reports of a program that SIGPIPE ended
_OPTION = re.compile(r"--[a-z]+(_[a-z]+)+")


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        argv: Arguments without the program's name; None takes those of the process.

    Returns:
        The exit code; see `EXIT_CODES`.
    """
    # PP-OCR writes its parameters with underscores: --box_thresh is --box-thresh.
    arguments = [_dashes(a) for a in (sys.argv[1:] if argv is None else argv)]
    level = _level(arguments)
    name = arguments[0] if arguments and arguments[0] in COMMANDS else "read"
    _prepare_stdout()
    for argument in arguments:
        remember_argument(argument)
    if argv is None:
        mask_process_title(masked)
    with masked_stderr(), at_level(level):
        if not arguments:
            for line in USAGE.format(commands=", ".join(COMMANDS)).splitlines():
                say(line, stream=sys.stderr)
            return 2
        return _main(name, arguments, level == "debug")


def _main(name: str, arguments: list[str], debug: bool) -> int:
    interrupts = Interrupts()
    try:
        return _run(name, arguments if name == "read" else arguments[1:], interrupts)
    except KeyboardInterrupt as e:
        return _fail(str(e) or "interrupted", interrupt_code(e), debug)
    except BrokenPipeError:
        # Who read our output has left (| head); Python would complain once more as it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _PIPE_CLOSED
    except MemoryError:
        return _fail("out of memory; give fewer or smaller images at once, or a smaller --stride", 1, debug)
    except Exception as e:
        line, code = f"internal error, {one_line(e, named=True)}; --debug shows where", 1
        if interrupts.signal is not None and _is_of_import(e):
            line, code = "interrupted", 128 + interrupts.signal
        elif isinstance(e, EdgeLprError):
            line, code = str(e), e.exit_code
        return _fail(line, code, debug)


def command_parser(name: str) -> Parser:
    """Returns the parser of a command; "read" is the one without a name.

    Raises:
        ModuleNotFoundError: The command needs a package that is not installed.
    """
    command = COMMANDS.get(name, READ)
    parser = Parser(prog=_prog(name), allow_abbrev=False)
    import_module(command.module).configure(parser)
    add = parser.add_argument_group("messages").add_argument
    add_log_options(add)
    add("-V", "--version", action="version", version=tool(), help="show the version and leave")
    if name == "read":
        parser.epilog = f"{parser.epilog}\n{_commands()}\n\n{RULE}\n\n{EXIT_CODES}"
    else:
        parser.epilog = f"{parser.epilog}\n{RULE}"
    return parser


def _run(name: str, arguments: list[str], interrupts: Interrupts) -> int:
    command = COMMANDS.get(name, READ)
    try:
        if name == "read":
            _check_command(arguments)
        parser = command_parser(name)
        take_variables(parser, os.environ)
        for line in mistyped(parser, os.environ) if shows("warning") else ():
            say(f"edge-lpr: {line}", stream=sys.stderr)
        args = parser.parse_args(arguments)
        refuse_addresses(parser, args)
        # Not before its modules are imported: until then nothing has to be completed (`console.start`). A
        # service that is stopped takes away what it began to write, as Ctrl-C does.
        with at_level(args.log_level), interrupts:
            code: int = import_module(command.module).run(args)
        return code
    except ModuleNotFoundError as e:
        package = (e.name or "").partition(".")[0]
        if not package or package == "edge_lpr":
            raise
        raise MissingExtraError(package, command.extra, f"`{_prog(name)}`") from e
    except READ_ERRORS as e:
        raise InputError(unreadable(e.filename or "a file", e)) from e
    except SystemExit as e:  # argparse: --help, --version, an error
        return e.code if isinstance(e.code, int) else 1


def _level(arguments: Sequence[str]) -> str:
    """Finds out how much is told, before the arguments are parsed; what is wrong with them is told then."""
    parser = Parser(add_help=False, allow_abbrev=False, exit_on_error=False)
    add_log_options(parser.add_argument)
    with suppress(argparse.ArgumentError, SettingError):
        take_variables(parser, os.environ)
        level: str = parser.parse_known_args(list(arguments))[0].log_level
        return level
    return "info"


def _check_command(arguments: Sequence[str]) -> None:
    """Refuses a command that was mistyped: --help would else be that of reading.

    Raises:
        InputError: The first argument is nearly a command, and nothing else.
    """
    word = arguments[0]
    close = get_close_matches(word, COMMANDS, 1) if word.isalpha() and word.isascii() else []
    if close and not Path(word).exists():
        raise InputError(f"{word}: no such file or folder; did you mean the command {close[0]}?")


def _is_of_import(error: BaseException) -> bool:
    """Tells whether an error is of an import: a signal in the middle of a library's comes out as one."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ImportError):
        cause = cause.__cause__ or cause.__context__
    return cause is not None


def _prog(name: str) -> str:
    return "edge-lpr" if name == "read" else f"edge-lpr {name}"


def _commands() -> str:
    lines = [f"  {name:<10} {command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(["commands (edge-lpr COMMAND --help; a file of such a name is read as ./NAME):", *lines])


def _dashes(argument: str) -> str:
    return (
        _OPTION.sub(lambda m: m[0].replace("_", "-"), argument, count=1)
        if argument.startswith("--")
        else argument
    )


def _fail(message: str, code: int, debug: bool) -> int:
    if debug:
        for line in traceback.format_exc().splitlines():
            say(line, stream=sys.stderr)
    say(f"edge-lpr: {message}", stream=sys.stderr)
    return code


def _prepare_stdout() -> None:
    """Makes sure that Chinese text can be printed: redirected output on Windows has an old code page."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            encoding = None if stream.isatty() else "utf-8"
            reconfigure(encoding=encoding, errors="backslashreplace")
