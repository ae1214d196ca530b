"""Choices by name, in their order, each registered once."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from edge_lpr.backends.base import BACKENDS
from edge_lpr.errors import SettingError
from edge_lpr.precisions import PRECISIONS
from edge_lpr.registry import Registry


@dataclass(frozen=True)
class Tool:
    name: str
    rank: int


def test_choices_come_by_rank_and_by_name() -> None:
    tools: Registry[Tool] = Registry("tool")
    saw = tools.register(Tool("saw", 2))
    tools.register(Tool("axe", 1))
    assert tools.names() == ("axe", "saw")
    assert tools["saw"] is saw
    assert "saw" in tools
    assert "bow" not in tools
    with pytest.raises(SettingError, match="tool 'bow': expected one of axe, saw"):
        tools["bow"]


def test_a_name_is_given_once_and_registering_again_is_no_error() -> None:
    tools: Registry[Tool] = Registry("tool")
    tools.register(Tool("saw", 2))
    tools.register(Tool("saw", 2))
    with pytest.raises(SettingError, match="tool 'saw': registered twice"):
        tools.register(Tool("saw", 3))


def test_the_kits_own_register_themselves() -> None:
    assert BACKENDS.names() == ("tensorrt", "onnxruntime")
    assert PRECISIONS.names() == ("fp32", "fp16", "int8", "int8-cpu")


def test_threads_that_ask_at_once_all_get_everything() -> None:
    code = (
        "import sys, threading; sys.setswitchinterval(1e-6)\n"
        "from edge_lpr.backends.base import BACKENDS\n"
        "found, gate = [], threading.Barrier(6)\n"
        "def ask(): gate.wait(); found.append(BACKENDS.names())\n"
        "threads = [threading.Thread(target=ask) for _ in range(6)]\n"
        "[t.start() for t in threads]; [t.join() for t in threads]\n"
        "assert found == [('tensorrt', 'onnxruntime')] * 6, found\n"
    )
    for _ in range(3):
        subprocess.run([sys.executable, "-c", code], check=True)


def test_what_failed_to_import_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "made_up_tools"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "saw.py").write_text("raise RuntimeError('broken')")
    monkeypatch.syspath_prepend(tmp_path)
    tools: Registry[Tool] = Registry("tool", "made_up_tools")
    for _ in range(2):
        with pytest.raises(RuntimeError, match="broken"):
            tools.names()
