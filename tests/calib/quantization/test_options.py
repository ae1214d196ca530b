"""How to calibrate is declared once, in the units that the options have."""

from __future__ import annotations

import argparse

import pytest

from edge_lpr.calib.quantization.int8 import FLOAT_BUDGETS
from edge_lpr.calib.quantization.options import CalibrationOptions, makeable
from edge_lpr.errors import SettingError
from edge_lpr.precisions import PRECISIONS
from edge_lpr.settings import add_options, given


def test_defaults_are_those_of_the_precisions() -> None:
    options = CalibrationOptions()
    assert options.precisions == makeable("tensorrt") == ("fp16", "int8")
    assert options.budget == PRECISIONS["int8"].budget
    assert options.float_budget is None


def test_what_cannot_be_is_said() -> None:
    cases = {
        "budget is 101, expected a number from 0 to 100": {"budget": 101},
        "float_budget is -1, expected a number from 0 to 100": {"float_budget": -1},
        "images is 0, must be an integer from 1 to 1000": {"images": 0},
        "precision 'int4': calibration makes fp16, int8": {"precisions": ("int8", "int4")},
        "precision 'fp32': calibration makes fp16, int8": {"precisions": ("fp32",)},
    }
    for message, values in cases.items():
        with pytest.raises(SettingError, match=message):
            CalibrationOptions(**values)  # type: ignore[arg-type]


def test_options_are_points_and_per_cent() -> None:
    parser = argparse.ArgumentParser()
    add_options(parser.add_argument, CalibrationOptions)
    args = parser.parse_args(["--budget", "0.5", "--float-budget", "0"])
    assert given(args, CalibrationOptions) == {"budget": 0.5, "float_budget": 0.0}
    text = " ".join(parser.format_help().split())
    assert f"{FLOAT_BUDGETS['det']:g} for the detector, {FLOAT_BUDGETS['rec']:g} for the recognizer" in text
    assert "percentage points (default 0.2)" in text
