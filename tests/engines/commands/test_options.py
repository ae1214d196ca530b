from __future__ import annotations

import argparse

import pytest

from edge_lpr.engines.build_settings import BuildSettings
from edge_lpr.engines.commands._options import add_build_options, settings_from
from edge_lpr.errors import SettingError


def parse(*arguments: str) -> BuildSettings:
    parser = argparse.ArgumentParser()
    add_build_options(parser, "some")
    return settings_from(parser.parse_args(arguments))


def test_without_options_all_is_as_declared() -> None:
    assert parse() == BuildSettings()


def test_every_setting_has_an_option() -> None:
    shapes = ("--batch", "1", "4", "--det-size", "640x384", "1120x640")
    numbers = ("--workspace", "512", "--optimization-level", "0")
    flags = ("--tf32", "--version-compatible", "--hardware-compatible")
    found = parse(*shapes, *numbers, *flags, "--tactic-sources", "jit_convolutions")
    assert found == BuildSettings(
        batches=(1, 4),
        det_sizes=("640x384", "1120x640"),
        workspace=512,
        tf32=True,
        version_compatible=True,
        hardware_compatible=True,
        optimization_level=0,
        tactic_sources=("JIT_CONVOLUTIONS",),
    )
    assert parse("--batch", "1", "--det-size", "640x384", "--dla", "0").dla == 0


def test_a_number_out_of_its_range_names_option_value_and_range(capsys: pytest.CaptureFixture[str]) -> None:
    for option, value in (("--dla", "9"), ("--optimization-level", "6"), ("--workspace", "many")):
        with pytest.raises(SystemExit):
            parse(option, value)
        assert f"{option}: '{value}', must be an integer from " in capsys.readouterr().err


def test_options_that_contradict_each_other() -> None:
    with pytest.raises(SettingError, match="--dla and --hardware-compatible"):
        parse("--dla", "0", "--hardware-compatible", "--batch", "1", "--det-size", "64x64")
