"""Choices by name, in their order, each registered once."""

from __future__ import annotations

from dataclasses import dataclass

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
    assert PRECISIONS.names() == ("fp32", "fp16", "int8")
