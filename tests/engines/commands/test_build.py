"""`edge-lpr build` as far as it goes without a GPU."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge_lpr.backends.tensorrt.cuda import open_gpu
from edge_lpr.bundle.manifest import bundled
from edge_lpr.cli import main
from edge_lpr.errors import EdgeLprError


@pytest.fixture(autouse=True)
def _engines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if not (bundled() / "bundle.json").is_file():
        pytest.skip("needs the default bundle")
    monkeypatch.setenv("EDGE_LPR_ENGINES", str(tmp_path / "engines"))


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["build", "--help"]) == 0
    out = capsys.readouterr().out
    assert "examples:" in out and "--det-size 1120x640" in out and "EDGE_LPR_ENGINES" in out


def test_a_dry_run_shows_what_would_be_built(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    arguments = ["--precision", "fp32", "--det-size", "640x384", "--batch", "1", "8", "--dry-run"]
    assert main(["build", *arguments]) == 0
    out = capsys.readouterr().out
    assert "1×384×640×3" in out and "2–8×384×640×3, fastest at 8×384×640×3" in out
    assert out.endswith(f"into {tmp_path / 'engines'}\n")
    assert not (tmp_path / "engines").exists()


def test_a_dry_run_as_json(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["build", "--precision", "fp32", "--dry-run", "--json", "--out", str(tmp_path / "x")]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["folder"] == str(tmp_path / "x")
    assert [(e["part"], e["precision"]) for e in shown["engines"]] == [("det", "fp32"), ("rec", "fp32")]
    assert shown["engines"][1]["profiles"][0]["max"][0] == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--det-size", "1280x720"], "for frames of 1280x720 give --det-size "),
        (["--batch", "0"], "--batch 0: expected sizes from 1 to 256"),
        (["--dla", "0"], "--dla takes one fixed shape"),
        (["--workspace", "1"], "--workspace: '1', must be an integer from 16 to"),
        (["no-such-bundle"], "no-such-bundle: no such folder"),
        (["--precision", "fp64"], "invalid choice: 'fp64'"),
    ],
)
def test_bad_input_is_one_line(capsys: pytest.CaptureFixture[str], arguments: list[str], said: str) -> None:
    assert main(["build", *arguments]) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1


def test_without_a_gpu_it_says_so(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    try:
        open_gpu()
    except EdgeLprError as e:
        reason, code = str(e), e.exit_code
    else:
        pytest.skip("this machine has a GPU")
    assert main(["build"]) == code
    assert capsys.readouterr().err == f"edge-lpr: {reason}\n"
    assert not (tmp_path / "engines").exists()
