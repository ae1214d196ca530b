"""A copy of this repository, as a clone has it, and environments to install it in."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.extras import reason

ROOT = Path(__file__).resolve().parents[2]
# What builds and tools leave, and what is as large as all the rest and decides nothing about an installation.
_LEFT_OUT = (".*", "__pycache__", "*.egg-info", "build", "dist", "runs", "out", "*.onnx", "*.npz", "*.mp4")


def copy_repository(folder: Path) -> Path:
    """Copies the repository to a folder, without models, videos and what is never committed."""
    return Path(shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*_LEFT_OUT)))


def environment(folder: Path) -> Path:
    """Makes a virtual environment with this one's packages but its own `edge-lpr`; returns its Python."""
    import venv

    venv.create(folder, symlinks=os.name == "posix", with_pip=False)
    bin_folder = folder / ("Scripts" if os.name == "nt" else "bin")
    python = bin_folder / Path(sys.executable).name
    purelib = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    # Folders that a .pth file adds have no say: an editable `edge-lpr` of this environment stays out.
    theirs = [p for p in sys.path if p.endswith(("site-packages", "dist-packages"))]
    Path(purelib, "of_the_tests.pth").write_text("\n".join(theirs), encoding="utf-8")
    return python


def needs_setuptools(python: str | Path) -> None:
    """Skips where setuptools is missing or too old to build this kit, as in a fresh environment."""
    old = "import setuptools; exit(int(setuptools.__version__.split('.')[0]) < 77)"
    if run(python, "-c", old, cwd=ROOT)[0]:
        pytest.skip(reason("setuptools", "test"))


def pip_install(python: Path, *arguments: str) -> None:
    """Installs without a network."""
    needs_setuptools(python)
    quiet = ("--quiet", "--disable-pip-version-check", "--ignore-installed")
    alone = ("--no-index", "--no-deps", "--no-build-isolation")
    code, told = run(python, "-m", "pip", "install", *quiet, *alone, *arguments, cwd=ROOT)
    assert code == 0, told


def run(python: str | Path, *words: str, cwd: Path) -> tuple[int, str]:
    """Runs a Python that knows none of the tests' own paths; returns its exit code and what it printed."""
    env = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "PIP_TARGET")}
    done = subprocess.run(
        [python, *words],
        cwd=cwd,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        check=False,
    )
    return done.returncode, done.stdout
