"""Completion: the shells complete commands, options, choices and files."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from helpers.extras import reason

from edge_lpr.cli import COMMANDS, main
from edge_lpr.cli.completion import SHELLS

pytest.importorskip("shtab", reason=reason("shtab", "completion"))


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_accepts_its_script(
    shell: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    text = script(shell, capsys)
    for word in (*COMMANDS, "min-score", "det-limit-type", "onnxruntime"):
        assert word in text
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"needs {shell}")
    file = tmp_path / "script"
    file.write_text(text, encoding="utf-8")
    assert subprocess.run([program, "-n", str(file)], check=False).returncode == 0


@pytest.mark.parametrize(
    ("words", "expected", "other"),
    [
        ("edge-lpr eva", "evaluate", "export"),
        ("edge-lpr str", "street.mp4", "evaluate"),
        ("edge-lpr --min-s", "--min-score", "--jsonl"),
        ("edge-lpr --backend o", "onnxruntime", "tensorrt"),
        ("edge-lpr --rotate 9", "90", "180"),
        ("edge-lpr --jsonl str", "street.mp4", "evaluate"),
        ("edge-lpr completion f", "fish", "bash"),
        ("edge-lpr doctor --js", "--json", "--jsonl"),
    ],
)
def test_bash_completes(
    words: str, expected: str, other: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("needs bash")
    (tmp_path / "street.mp4").touch()
    (tmp_path / "script").write_text(script("bash", capsys), encoding="utf-8")
    array = " ".join(words.split(" "))
    ask = (
        f"source ./script; COMP_WORDS=({array}); COMP_CWORD={words.count(' ')}; COMP_LINE='{words}'; "
        "COMP_POINT=${#COMP_LINE}; _shtab_edge_lpr edge-lpr; printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    done = subprocess.run([bash, "-c", ask], cwd=tmp_path, capture_output=True, text=True, check=False)
    found = [word.strip() for word in done.stdout.split("\n")]
    assert expected in found and other not in found, done


@pytest.mark.parametrize(
    ("words", "expected"),
    [("edge-lpr str", "street.mp4"), ("edge-lpr eva", "evaluate"), ("edge-lpr doctor --js", "--json")],
)
def test_fish_completes(
    words: str, expected: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    fish = shutil.which("fish")
    if fish is None:
        pytest.skip("needs fish")
    (tmp_path / "street.mp4").touch()
    (tmp_path / "script").write_text(script("fish", capsys), encoding="utf-8")
    ask = [fish, "--no-config", "-c", f"source script; complete -C'{words}'"]
    done = subprocess.run(ask, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert expected in [line.partition("\t")[0] for line in done.stdout.splitlines()]


def test_an_unknown_shell_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "bsh"]) == 2
    assert "did you mean bash?" in capsys.readouterr().err
