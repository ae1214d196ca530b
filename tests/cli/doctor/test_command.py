"""`edge-lpr doctor` on this machine."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from edge_lpr.cli import main
from edge_lpr.installing import install_command
from edge_lpr.outputs import JsonlOutput


def checks(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, str]]:
    answer = json.loads(capsys.readouterr().out)
    return {check["name"]: check for check in answer["checks"]}


def test_this_machine_can_read_plates(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json"]) == 0
    found = checks(capsys)
    assert found["trial"]["state"] == "ok" and " ms for a blank image" in found["trial"]["found"]
    assert (
        "precisions fp32" in found["bundle"]["found"]
        and "sha256 of all files right" in found["bundle"]["found"]
    )
    assert found["Python"]["found"].startswith(".".join(map(str, sys.version_info[:3])))
    assert "providers" in found["onnxruntime"]["found"] and "FFMPEG" in found


def test_the_formats_of_pictures_are_listed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: None if name == "pillow_heif" else real(name)
    )
    assert main(["doctor", "--json"]) == 0
    found = checks(capsys)
    assert found["AVIF"]["state"] == "ok" and found["PIL"]["state"] == "ok"
    assert (found["HEIC"]["state"], found["HEIC"]["advice"]) == ("missing", install_command("heif"))


def test_what_killed_runs_left_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = (
        "import os, signal; from pathlib import Path; from edge_lpr.outputs import JsonlOutput\n"
        "Path('deep').mkdir(); out = JsonlOutput('deep/o.jsonl'); out._out.write('{}\\n'); "
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=False)
    (part,) = (tmp_path / "deep").iterdir()
    monkeypatch.chdir(tmp_path)
    for arguments in ([], ["."], [str(tmp_path / "deep")]):
        assert main(["doctor", "--json", *arguments]) == 0
        found = checks(capsys)["left over"]
        assert found["state"] == "left over" and part.name in found["found"] and "killed" in found["advice"]
    running = JsonlOutput(tmp_path / "deep" / "p.jsonl")
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert "??  left over" in shown and part.name[:30] in shown and ".p.jsonl" not in shown
    running.discard()
    part.unlink()
    assert main(["doctor", "--json"]) == 0
    assert checks(capsys)["left over"]["state"] == "ok"


def test_the_table_ends_with_the_answer(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert out.endswith("plates can be read on this machine\n") and "\x1b" not in out


def test_a_bundle_that_is_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--json", "--bundle", str(tmp_path)]) == 1
    found = checks(capsys)
    assert found["bundle"]["state"] == "broken" and "trial" not in found


def test_a_damaged_model_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from edge_lpr.bundle.manifest import bundled

    for path in bundled().iterdir():
        data = path.read_bytes()
        (tmp_path / path.name).write_bytes(data if path.suffix == ".json" else data[:-1] + b"\0")
    assert main(["doctor", "--bundle", str(tmp_path)]) == 1
    out = capsys.readouterr().out
    assert "!!  bundle" in out and ".onnx" in out and "plates cannot be read" in out


def test_a_missing_backend_is_named_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # as if it were not installed
    code = main(["doctor", "--json"])
    found = checks(capsys)
    assert found["onnxruntime"]["state"] in ("missing", "broken")
    assert "pip install" in found["onnxruntime"]["advice"]
    if found["CUDA"]["state"] != "ok":  # without a GPU nothing else can run
        assert code == 1 and found["trial"]["state"] == "broken"
        assert install_command("cpu") in found["trial"]["found"]
