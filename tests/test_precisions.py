"""The table of precisions."""

from __future__ import annotations

from importlib import import_module

import pytest
from helpers.extras import reason

from edge_lpr.errors import SettingError
from edge_lpr.precisions import PRECISIONS, REFERENCE, engine_precisions


def test_lists_begin_with_the_reference_and_engines_with_fp16() -> None:
    assert PRECISIONS.names() == (REFERENCE, "fp16", "int8", "int8-cpu")
    engines = [p.name for p in sorted(PRECISIONS, key=lambda p: p.engine_rank)]
    assert [name for name in engines if name in engine_precisions()] == ["fp16", "int8", "fp32"]


def test_no_engine_is_built_of_what_is_made_for_a_cpu() -> None:
    assert engine_precisions() == (REFERENCE, "fp16", "int8")
    assert [p.name for p in PRECISIONS if p.target == "cpu"] == ["int8-cpu"]


def test_each_but_the_reference_is_made_by_its_module() -> None:
    pytest.importorskip("onnx", reason=reason("onnx", "test"))
    for precision in PRECISIONS:
        if precision.name == REFERENCE:
            assert precision.maker == "" and precision.budget == 0
        else:
            assert callable(import_module(precision.maker).make)
            assert precision.budget > 0


def test_another_name_is_refused_with_the_choices() -> None:
    with pytest.raises(SettingError, match=r"precision 'fp8': expected one of fp32, fp16, int8, int8-cpu"):
        PRECISIONS["fp8"]
