"""The packages that `edge-lpr doctor` looks for."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from edge_lpr.cli import main
from edge_lpr.cli.doctor.packages import EXTRAS
from edge_lpr.installing import install_command


def test_each_commands_packages_are_looked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(EXTRAS, "calib", ("numpy", "no_such_module"))
    assert main(["doctor", "--json"]) == 0
    found = {check["name"]: check for check in json.loads(capsys.readouterr().out)["checks"]}
    assert found["calibrate, compare"]["state"] == "missing"
    assert found["calibrate, compare"]["found"] == "no no_such_module"
    assert found["calibrate, compare"]["advice"] == install_command("calib")
    assert {"evaluate", "export", "finetune", "build, engines"} <= set(found)


def test_all_packages_of_an_extra_are_looked_for() -> None:
    modules = {"paddlepaddle": "paddle", "pyyaml": "yaml"}
    # setuptools and packaging come with pip's environments; of TensorRT's, 8.6 alone needs onnx.
    beside = {"packaging", "setuptools"}
    seldom = {"tensorrt": {"onnx"}}
    text = (Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8")
    for extra, looked_for in EXTRAS.items():
        line = re.search(rf"^{extra} = \[(.*)\]$", text, re.MULTILINE)
        assert line is not None
        packages = set(re.findall(r'"([\w-]+)', line[1])) - beside - seldom.get(extra, set())
        assert {modules.get(package, package) for package in packages} <= set(looked_for), extra
