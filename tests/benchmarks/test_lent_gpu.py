"""The verbs for a lent GPU, as far as they go without one and without a network."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "benchmarks" / "lent_gpu.sh"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="for machines with Linux")


def run(script: Path, *words: object, **settings: object) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in ("OUT", "WORK", "PREFIX")}
    given = {name: str(value) for name, value in settings.items()}
    command = ["bash", str(script), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=kept | given)


@pytest.mark.skipif(not (ROOT / ".git").exists() or shutil.which("git") is None, reason="packs a checkout")
def test_the_kit_is_all_that_training_and_measuring_take(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "plates.csv").write_text("file,label,corners_tl_tr_br_bl\n", encoding="utf-8")
    out = tmp_path / "out"
    done = run(SCRIPT, "kit", out, tmp_path / "data")
    assert (done.returncode, done.stderr) == (0, "")
    weights = ROOT / "finetune" / "weights"
    packed = {path.relative_to(out / "weights") for path in (out / "weights").rglob("*.pdparams")}
    assert packed == {path.relative_to(weights) for path in weights.rglob("*.pdparams")} != set()
    assert (out / "data" / "plates.csv").is_file()
    assert (out / "lent_gpu.sh").read_bytes() == SCRIPT.read_bytes()
    assert not (out / "kit" / "benchmarks" / "results").exists()
    # What is packed is a tree that Python finds the whole package in.
    words = [sys.executable, "-c", "import edge_lpr.benchmarks.gpu as gpu; print(gpu.__file__)"]
    found = subprocess.run(words, capture_output=True, text=True, check=True, cwd=out / "kit")
    assert Path(found.stdout.strip()) == out / "kit" / "benchmarks" / "gpu.py"


def test_what_was_not_carried_is_named(tmp_path: Path) -> None:
    script = tmp_path / "lent_gpu.sh"
    shutil.copy(SCRIPT, script)
    told = run(script, "unpack", WORK=tmp_path)
    assert told.returncode == 1
    assert "unpack.sh; carry tensorrt/unpack.sh, tensorrt/trt86.sha256 and a part" in told.stderr
    settings = {"WORK": tmp_path / "work", "PREFIX": tmp_path / "none"}
    told = run(script, "bench", **settings)
    assert told.returncode == 1 and "OUT: is not set" in told.stderr
    settings["OUT"] = tmp_path / "out"
    for name in ("kit", "data"):
        told = run(script, "bench", **settings)
        assert told.returncode == 1 and told.stderr.count("\n") == 1
        assert f"{name}; carry the folder {name} that pack has written" in told.stderr
        (tmp_path / name).mkdir()
    told = run(script, "bench", **settings)
    assert told.returncode == 1 and told.stderr.count("\n") == 1
    assert "bin/python; unpack all parts of TensorRT first: lent_gpu.sh unpack" in told.stderr
    assert run(script, "unpick").returncode == 2


def test_a_report_is_gone_on_with_by_the_next_call(tmp_path: Path) -> None:
    script = tmp_path / "lent_gpu.sh"
    shutil.copy(SCRIPT, script)
    for name in ("kit", "data", "bin"):
        (tmp_path / name).mkdir()
    # In the place of Python one that adds a line to the report that it is given.
    python = tmp_path / "bin" / "python"
    python.write_text(
        '#!/bin/sh\nwhile [ "$1" != --json ]; do shift; done\necho line >> "$2"\nexit 1\n', encoding="utf-8"
    )
    python.chmod(0o755)
    for call in (1, 2):
        out = tmp_path / f"out{call}"
        told = run(script, "bench", WORK=tmp_path / "work", PREFIX=tmp_path, OUT=out, NO_TESTS=1)
        assert told.returncode == 1, "what failed is told"
        assert (out / "gpu.json").read_text(encoding="utf-8") == call * "line\n"
