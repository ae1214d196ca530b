"""The `edge-lpr` command: reads plates, or runs one of the commands by name.

A command is a module with `configure(parser)` and `run(args)`, of this package or of a stage; it is named
here and imported only when it is run, so that reading plates on a Jetson never touches what the host stages
need.
"""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

from edge_lpr.console.interrupts import Interrupts
from edge_lpr.console.module_main import Parser, interrupt_code, refuse_addresses
from edge_lpr.console.output import say
from edge_lpr.console.process_title import mask_process_title
from edge_lpr.console.streams import masked_stderr
from edge_lpr.environment import tool
from edge_lpr.errors import EdgeLprError, InputError, MissingExtraError, one_line
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


READ = Command("edge_lpr.cli.read", "cpu", "read plates from images, videos and cameras")
COMMANDS: dict[str, Command] = {
    "doctor": Command(
        "edge_lpr.cli.doctor", "cpu", "show what this machine has, and what to install for what is missing"
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
}
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
    debug = "--debug" in arguments
    name = arguments[0] if arguments and arguments[0] in COMMANDS else "read"
    _prepare_stdout()
    for argument in arguments:
        remember_argument(argument)
    if argv is None:
        mask_process_title(masked)
    with masked_stderr():
        return _main(name, arguments, debug)


def _main(name: str, arguments: list[str], debug: bool) -> int:
    try:
        with Interrupts():  # a service that is stopped takes away what it began to write, as Ctrl-C does
            return _run(name, arguments if name == "read" else arguments[1:])
    except EdgeLprError as e:
        return _fail(str(e), e.exit_code, debug)
    except KeyboardInterrupt as e:
        return _fail("interrupted", interrupt_code(e), debug)
    except BrokenPipeError:
        # Who read our output has left (| head); Python would complain once more as it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _PIPE_CLOSED
    except MemoryError:
        return _fail("out of memory; give fewer or smaller images at once, or a smaller --stride", 1, debug)
    except Exception as e:
        return _fail(f"internal error, {one_line(e, named=True)}; --debug shows where", 1, debug)


def command_parser(name: str) -> Parser:
    """Returns the parser of a command; "read" is the one without a name.

    Raises:
        ModuleNotFoundError: The command needs a package that is not installed.
    """
    command = COMMANDS.get(name, READ)
    parser = Parser(prog=_prog(name), allow_abbrev=False)
    import_module(command.module).configure(parser)
    parser.add_argument("--debug", action="store_true", help="show tracebacks and libraries' logs")
    if name == "read":
        parser.epilog = f"{parser.epilog}\n{_commands()}\n\n{EXIT_CODES}"
        parser.add_argument("--version", action="version", version=tool())
    return parser


def _run(name: str, arguments: list[str]) -> int:
    command = COMMANDS.get(name, READ)
    try:
        parser = command_parser(name)
        args = parser.parse_args(arguments)
        refuse_addresses(parser, args)
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
