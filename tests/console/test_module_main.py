"""Commands of modules end in one line and an exit code."""

from __future__ import annotations

import subprocess
import sys

import pytest

from edge_lpr.console.interrupts import Terminated
from edge_lpr.console.module_main import Parser, module_main
from edge_lpr.errors import EdgeLprError, OutputError, SettingError


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (SettingError("a: is 1\x1b[2J, expected 2"), 2, "toy: a: is 1\ufffd[2J, expected 2\n"),
        (OutputError("b: cannot be written"), 1, "toy: b: cannot be written\n"),
        (KeyboardInterrupt(), 130, "toy: interrupted\n"),
        (KeyboardInterrupt("interrupted; go on: a\nb"), 130, "toy: interrupted; go on: a\ufffdb\n"),
        (Terminated(), 143, "toy: interrupted\n"),
        (Terminated(1), 129, "toy: interrupted\n"),
    ],
)
def test_what_goes_wrong_is_one_line(
    error: BaseException, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    @module_main("toy")
    def main(argv: list[str]) -> int:
        raise error

    assert main([]) == code
    assert capsys.readouterr().err == line


def test_the_code_of_what_went_well_stays() -> None:
    @module_main("toy")
    def main(code: int = 0) -> int:
        return code

    assert (main(), main(code=3)) == (0, 3)
    assert issubclass(SettingError, EdgeLprError)


def test_wrong_options_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        Parser(prog="toy").parse_args(["--no"])
    assert stop.value.code == 2
    assert capsys.readouterr().err == "toy: unrecognized arguments: --no; see: toy --help\n"


COMMANDS = {
    "edge_lpr.finetune.release": ["held-out", "--data", "/nonexistent"],
    "edge_lpr.finetune.synthesis.render": ["--what", "no"],
    "edge_lpr.finetune.synthesis.street": ["--no"],
    "edge_lpr.finetune.synthesis.augment": ["/nonexistent"],
    "edge_lpr.finetune.synthesis.glyphs": [
        *("subset", "--noto-thin", "/nonexistent/a.ttc", "--noto-medium", "/nonexistent/b.ttc"),
    ],
    "edge_lpr.export.pretrained": ["--out", "/nonexistent", "--wheel", "/nonexistent/a.whl"],
    "edge_lpr.export.onnx_to_pdparams": ["--out", "/nonexistent", "--wheel", "/nonexistent/a.whl"],
    "edge_lpr.benchmarks.gpu": ["/nonexistent"],
    "edge_lpr.benchmarks.speed": ["/nonexistent"],
}


@pytest.mark.parametrize("module", COMMANDS)
def test_bad_input_ends_every_module_command_in_one_line(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", module, *COMMANDS[module]], capture_output=True, text=True, check=False
    )
    if "ModuleNotFoundError" in done.stderr:
        pytest.skip("needs a package of an extra")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
