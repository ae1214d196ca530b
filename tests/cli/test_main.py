"""The command as such: help, commands, errors, exit codes."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from edge_lpr import cli
from edge_lpr.cli import COMMANDS, main
from edge_lpr.errors import BackendError


def a_command(monkeypatch: pytest.MonkeyPatch, error: BaseException | None) -> None:
    """Puts a command in `doctor`'s place that does as it is told."""

    def run(args: argparse.Namespace) -> int:
        if error is not None:
            raise error
        return 7

    module = ModuleType("edge_lpr.cli.doctor.command")
    module.configure = lambda parser: None  # type: ignore[attr-defined]
    module.run = run  # type: ignore[attr-defined]
    monkeypatch.setattr(cli, "import_module", lambda name: module)


def test_help_teaches_without_importing_anything_heavy() -> None:
    code = (
        "import sys\nfrom edge_lpr.cli import main\ncode = main(['--help'])\n"
        "heavy = {'onnx', 'torch', 'paddle', 'shapely', 'matplotlib', 'tensorrt', 'pycuda', 'onnxruntime'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\nsys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0 and done.stderr == ""
    for word in ("edge-lpr street.mp4", "rtsp://", "exit codes:", "130", "--det-limit-side-len", *COMMANDS):
        assert word in done.stdout


def test_without_arguments_it_shows_its_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and "edge-lpr street.mp4" in captured.err and captured.err.count("\n") <= 5


def test_help_is_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, same in ((["help"], ["--help"]), (["help", "doctor"], ["doctor", "--help"])):
        assert main(arguments) == main(same) == 0
        told = capsys.readouterr().out
        assert told[: len(told) // 2] == told[len(told) // 2 :]


@pytest.mark.parametrize("arguments", [["-V"], ["doctor", "--version"]])
def test_version_in_short_and_of_commands(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    assert capsys.readouterr().out.startswith("edge-lpr ")


@pytest.mark.parametrize(("level", "told"), [("info", True), ("warning", True), ("error", False)])
def test_the_log_level_says_what_is_told(
    level: str,
    told: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\nnothing")
    monkeypatch.setenv("EDGE_LPR_LOG_LEVEL", level)
    assert main([str(tmp_path), "--threads", "1"]) == 2
    assert ("a.png" in capsys.readouterr().err) is told


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("edge-lpr ")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    assert f"edge-lpr {name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--quiet"], "edge-lpr: the following arguments are required: SOURCE; see: edge-lpr --help"),
        (
            ["a.mp4", "--jsnol", "x"],
            "edge-lpr: unrecognized arguments: --jsnol x; did you mean --jsonl?; see:",
        ),
        (["a.mp4", "--backend", "onnxruntme"], "edge-lpr: argument --backend: invalid choice: 'onnxruntme'"),
        (["exprot", "--help"], "edge-lpr: exprot: no such file or folder; did you mean the command export?"),
        (
            ["evaluate", "--hlep"],
            "edge-lpr evaluate: the following arguments are required: task, DATA; --hlep: did you mean",
        ),
        (["--hepl"], "edge-lpr: the following arguments are required: SOURCE; --hepl: did you mean --help?"),
        (["engines", "lsit"], "edge-lpr engines: argument action: invalid choice: 'lsit'"),
        (["help", "calibrat"], "edge-lpr help: argument COMMAND: invalid choice: 'calibrat'"),
        (["a.mp4", "--nope"], "edge-lpr: unrecognized arguments: --nope; see: edge-lpr --help"),
        (["a.mp4", "--stride", "0"], "edge-lpr: argument --stride: '0', must be an integer ≥ 1"),
        (["a.mp4", "--min-score", "2"], "edge-lpr: argument --min-score: '2', expected a number from 0 to 1"),
        (["a.mp4", "--timeout", "x"], "edge-lpr: argument --timeout: 'x', expected a number from 0.1"),
        (["a.mp4", "--backend", "x"], "edge-lpr: argument --backend: invalid choice: 'x'"),
        (
            ["doctor", "--nope"],
            "edge-lpr doctor: unrecognized arguments: --nope; see: edge-lpr doctor --help",
        ),
        (["docter"], "edge-lpr: docter: no such file or folder; did you mean the command doctor?"),
        (["a\x1b7.mp4"], "edge-lpr: a\N{REPLACEMENT CHARACTER}7.mp4: no such file or folder"),
    ],
)
def test_bad_arguments_are_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(message) and captured.err.count("\n") == 1 and captured.out == ""


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (BackendError("the device is gone"), 1, "edge-lpr: the device is gone\n"),
        (KeyboardInterrupt(), 130, "edge-lpr: interrupted\n"),
        (MemoryError(), 1, "edge-lpr: out of memory"),
        (RuntimeError("odd\nthing"), 1, "edge-lpr: internal error, RuntimeError: odd thing; --debug shows"),
        (ModuleNotFoundError("No module named 'paddle'", name="paddle.nn"), 2,
         "edge-lpr: `edge-lpr doctor` needs the package 'paddle' of the extra 'cpu', which is not"),
    ],
)  # fmt: skip
def test_errors_are_one_line_and_a_code(
    error: BaseException, code: int, message: str,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    a_command(monkeypatch, error)
    assert main(["doctor"]) == code
    captured = capsys.readouterr()
    assert captured.err.startswith(message) and captured.err.count("\n") == 1


def test_debug_shows_the_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    a_command(monkeypatch, BackendError("the device is gone"))
    assert main(["doctor", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_command_s_own_code_is_returned(monkeypatch: pytest.MonkeyPatch) -> None:
    a_command(monkeypatch, None)
    assert main(["doctor"]) == 7
