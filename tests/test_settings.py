"""Settings are declared once: checks, options and help follow."""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass

import numpy as np
import pytest

from edge_lpr.errors import SettingError
from edge_lpr.settings import Settings, add_options, given, setting, whole_setting


@dataclass(frozen=True)
class Oven(Settings):
    """Something to set."""

    share: float = setting(0.5, "how much", low=0, high=1, metavar="P")
    rounds: int = setting(3, "how often", low=1)
    mode: str = setting("top", "which heat", choices=("top", "bottom"))
    fan: bool = setting(False, "turn the fan on")
    wait: float = setting(math.inf, "how long", low=0)
    rack: int | None = whole_setting(None, "which rack (default: any)", low=1, high=4)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"share": 1.5}, r"share is 1\.5, expected a number from 0 to 1"),
        ({"share": math.nan}, "share is nan"),
        ({"share": True}, "share is True"),
        ({"rounds": 2.5}, "rounds is 2\\.5, must be an integer ≥ 1"),
        ({"mode": "side"}, "mode is 'side', expected top or bottom"),
        ({"rack": 5}, "rack is 5, must be an integer from 1 to 4"),
        ({"heat": 5}, "no setting 'heat'; there are share, rounds"),
    ],
)
def test_what_is_out_of_its_range_is_named(changes: dict[str, object], told: str) -> None:
    with pytest.raises(SettingError, match=told):
        Oven().changed(changes)


def parser(**options: bool) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="oven", exit_on_error=False)
    add_options(made.add_argument, Oven, **options)
    return made


def test_options_give_back_what_was_used_and_nothing_else() -> None:
    assert given(parser().parse_args([]), Oven) == {}
    args = parser().parse_args(
        ["--share", "0.25", "--rounds", "4", "--fan", "--wait", "forever", "--rack", "2"]
    )
    assert given(args, Oven) == {"share": 0.25, "rounds": 4, "fan": True, "wait": math.inf, "rack": 2}
    assert given(args, Oven, ["share"]) == {"share": 0.25}
    assert Oven().changed(given(args, Oven)) == Oven(0.25, 4, "top", True, math.inf, 2)


@pytest.mark.parametrize(
    "option", [["--share", "2"], ["--rounds", "x"], ["--mode", "side"], ["--rack", "1.5"]]
)
def test_a_wrong_option_says_what_it_may_be(option: list[str]) -> None:
    with pytest.raises(argparse.ArgumentError, match=r"(must be|expected)"):
        parser().parse_args(option)


def test_help_ends_in_the_default() -> None:
    told = " ".join(parser().format_help().split())
    assert "--share P how much (default 0.5)" in told
    assert "--rounds N how often (default 3)" in told
    assert "--mode top|bottom which heat (default top)" in told
    assert "(default forever)" in told
    assert "--rack N which rack (default: any)" in told
    assert "(default 0.5)" not in parser(show_default=False).format_help()


@pytest.mark.parametrize("text", ["1_0", " 3", "3 ", "forever", "inf", "9" * 400])
def test_an_integer_is_written_in_digits(text: str) -> None:
    with pytest.raises(argparse.ArgumentError, match="must be an integer"):
        parser().parse_args(["--rounds", text])


def test_only_what_is_endless_by_default_may_be_endless() -> None:
    assert Oven(wait=math.inf).wait == math.inf
    with pytest.raises(SettingError, match="share is inf"):
        Oven(share=math.inf)


def test_numbers_of_numpy_are_numbers() -> None:
    assert Oven(share=np.float32(0.25), rounds=np.int64(2)).rounds == 2
    with pytest.raises(SettingError, match="rounds is"):
        Oven(rounds=np.float32(2))
