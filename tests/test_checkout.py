"""The commands that README and docs show work in a clone and elsewhere, however the kit was installed."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from helpers.clones import copy_repository, environment, pip_install, run

from edge_lpr._checkout import STAGES

# A probe that is no module of a folder that Python starts in, as a console script is none.
PROBE = """
import sys
from edge_lpr.export import paddle_model
from edge_lpr.export.parity.images import scenes
paddle_model.find_spec = lambda name: True
model = paddle_model.open_model(sys.argv[1], "det")
model._work({"model": "none", "params": "none"})
model.close()
print("the worker began,", len(scenes()), "scenes came along")
"""


@pytest.fixture(scope="module", params=["", "-e"], ids=["as a copy", "editable"])
def installed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A clone, and the Python of an environment that it was installed in."""
    folder = tmp_path_factory.mktemp("installed")
    clone = copy_repository(folder / "clone")
    python = environment(folder / "venv")
    pip_install(python, *request.param.split(), str(clone))
    return clone, python


@pytest.mark.parametrize("place", [".", "finetune", ".."])
def test_every_stage_is_there_in_every_folder(installed: tuple[Path, Path], place: str) -> None:
    clone, python = installed
    imports = "; ".join(f"import edge_lpr.{stage} as m; print(m.__name__)" for stage in STAGES)
    code, told = run(python, "-c", imports, cwd=clone / place)
    assert (code, told.split()) == (0, [f"edge_lpr.{stage}" for stage in STAGES]), told


def test_a_stages_own_command(installed: tuple[Path, Path]) -> None:
    clone, python = installed
    code, told = run(python, "-m", "edge_lpr.finetune.release", "--help", cwd=clone)
    assert (code, told.split(" ")[0]) == (0, "usage:"), told


@pytest.mark.parametrize("place", [".", ".."])
def test_the_command_and_its_processes(installed: tuple[Path, Path], place: str, tmp_path: Path) -> None:
    clone, python = installed
    scripts = [p for p in python.parent.iterdir() if p.stem == "edge-lpr"]
    assert scripts, "no edge-lpr beside the environment's Python"
    (tmp_path / "probe.py").write_text(PROBE, encoding="utf-8")
    weights = str(clone / "finetune" / "weights" / "det.pdparams")
    code, told = run(python, str(tmp_path / "probe.py"), weights, cwd=clone / place)
    assert (code, told.strip()) == (0, "the worker began, 2 scenes came along"), told


def test_hints_name_the_clone(installed: tuple[Path, Path]) -> None:
    clone, python = installed
    program = "from edge_lpr.installing import install_command; print(install_command('calib'))"
    for place in (clone, clone.parent):
        code, told = run(python, "-c", program, cwd=place)
        assert code == 0, told
        assert shlex.split(told)[-1] == f"{clone}[calib]"
